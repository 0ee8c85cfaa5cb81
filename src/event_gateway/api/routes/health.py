"""``/healthz``, ``/readyz`` and ``/metrics``."""

from typing import Any

from fastapi import APIRouter, Request, Response

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.context import Context
from event_gateway.observability.metrics import CONTENT_TYPE

health = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"], route_class=GuardedRoute)


@health.get("/healthz")
async def alive(request: Request) -> dict[str, str]:
    """The process runs."""
    context: Context = request.app.state.context
    return {"status": "ok", "version": context.version}


@health.get("/readyz")
async def ready(request: Request, response: Response) -> dict[str, Any]:
    """Whether it can do its work: 503 only without NATS or while draining."""
    context: Context = request.app.state.context
    reasons = []
    if context.draining:
        reasons.append("draining")
    if not context.broker.connected or context.peers.silent:
        reasons.append("nats unreachable")
    if reasons:
        response.status_code = 503
        return {"status": "unavailable", "reasons": reasons}
    if not context.ledger.reachable:
        reasons.append("redis unreachable")
    reasons += [f"the background task {name} crashed" for name in context.supervisor.degraded]
    reasons += context.repair.reasons
    reasons += [f"the registry's entry {key} is left out" for key in context.registry.left_out]
    if others := context.peers.with_other_files:
        reasons.append(f"a different configuration file in {', '.join(others)}")
    return {"status": "degraded" if reasons else "ok", "reasons": reasons}


@metrics.get("/metrics")
async def show_metrics(request: Request) -> Response:
    """The figures of this process, for Prometheus."""
    context: Context = request.app.state.context
    return Response(context.metrics.text(), media_type=CONTENT_TYPE)
