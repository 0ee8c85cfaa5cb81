"""``/healthz``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from event_gateway.api.access.callers import ReadsMetrics
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.others import Alive, Readiness
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.state import ApiState
from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.observability.metrics import CONTENT_TYPE, Metrics
from event_gateway.routing.lag import RouterLag
from event_gateway.routing.repair import Repair
from event_gateway.state.condition import UNREACHABLE, RedisSettings
from event_gateway.state.ledger import Ledger
from event_gateway.tasks import Supervisor

health = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthParts:
    """What the routes use. ``version``: the gateway's."""

    version: str
    state: ApiState
    broker: Broker
    peers: Peers
    registry: Registry
    ledger: Ledger
    repair: Repair
    lag: RouterLag
    supervisor: Supervisor
    metrics: Metrics
    redis_settings: RedisSettings
    storage_reasons: Callable[[], list[str]]
    issuer_reasons: Callable[[], list[str]]


Parts = Annotated[HealthParts, Depends(provided(HealthParts))]


@health.get("/healthz", responses=answers(Alive))
async def alive(parts: Parts) -> dict[str, str]:
    """Answers as long as the process runs."""
    return {"status": "ok", "version": parts.version}


@health.get("/readyz", responses=answers(Readiness) | answers(Readiness, 503))
async def ready(parts: Parts, response: Response) -> dict[str, Any]:
    """Whether the process can do its work: 503 only without NATS or while draining.

    Other trouble is reported as ``degraded``, with 200.
    """
    reasons = []
    if parts.state.draining:
        reasons.append("draining")
    if not parts.broker.connected or parts.peers.cut_off:
        reasons.append("nats unreachable")
    if reasons:
        response.status_code = 503
        return {"status": "unavailable", "reasons": reasons}
    if not parts.ledger.reachable:
        reasons.append(parts.ledger.condition or UNREACHABLE)
    if parts.redis_settings.reason is not None:
        reasons.append(parts.redis_settings.reason)
    reasons += parts.storage_reasons()
    reasons += parts.state.stream_reasons()
    reasons += parts.issuer_reasons()
    reasons += parts.broker.violations.recent()
    reasons += parts.repair.reasons
    reasons += parts.lag.reasons
    reasons += [f"the background task {name} crashed" for name in parts.supervisor.degraded]
    reasons += [f"the registry's entry {key} is left out" for key in parts.registry.left_out]
    if parts.registry.stalled:
        reasons.append("the registry cannot be followed: changes are not applied")
    if others := parts.peers.with_different_files:
        reasons.append(f"a different configuration file in {', '.join(others)}")
    return {"status": "degraded" if reasons else "ok", "reasons": reasons}


@metrics.get("/metrics", responses=answers(None, 200, media_type=CONTENT_TYPE))
async def show_metrics(parts: Parts, caller: ReadsMetrics) -> Response:
    """The metrics of this process, for Prometheus."""
    return Response(parts.metrics.text(), media_type=CONTENT_TYPE)
