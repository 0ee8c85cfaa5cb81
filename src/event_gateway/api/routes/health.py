"""``/healthz``, ``/readyz``, ``/v1/health`` and ``/metrics``."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from event_gateway.api.access.callers import ReadsMetrics
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.health import Alive, GatewayHealth, Readiness
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.state import ApiState
from event_gateway.broker.failures import LogUnavailable
from event_gateway.broker.peers import Heartbeat, Peers
from event_gateway.core.observability.health_state import HealthState
from event_gateway.core.observability.reason import UnitedReason
from event_gateway.core.observability.reason_codes import CODES, COMPONENTS
from event_gateway.core.text.times import rfc3339
from event_gateway.observability.health import Health
from event_gateway.observability.health_leader import HealthLeader, shown_reason
from event_gateway.observability.metrics import CONTENT_TYPE, Metrics

READ_TIMEOUT = 1.0  # seconds to ask NATS for what is stored

health = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthParts:
    """What the routes use. ``version``: the gateway's."""

    version: str
    state: ApiState
    health: Health
    leader: HealthLeader
    peers: Peers
    metrics: Metrics


Parts = Annotated[HealthParts, Depends(provided(HealthParts))]


@health.get("/healthz", responses=answers(Alive))
async def show_liveness(parts: Parts) -> dict[str, str]:
    """Answers as long as the process runs."""
    return {"status": "ok", "version": parts.version}


@health.get("/readyz", responses=answers(Readiness) | answers(Readiness, 503))
async def show_readiness(parts: Parts, response: Response) -> dict[str, Any]:
    """Whether the process can do its work: 503 only without NATS or while draining.

    Other trouble is reported as ``degraded``, with 200.
    """
    response.status_code, answer = readiness(parts)
    return answer


def readiness(parts: HealthParts) -> tuple[int, dict[str, Any]]:
    """The status and the answer of ``/readyz``."""
    reasons = []
    if parts.state.draining:
        reasons.append("draining")
    if parts.health.nats_unreachable:
        reasons.append("nats unreachable")
    if reasons:
        return 503, {"status": "unavailable", "reasons": reasons}
    reasons = [reason.text for reason in parts.health.own()]
    return 200, {"status": "degraded" if reasons else "ok", "reasons": reasons}


@metrics.get("/v1/health", responses=answers(GatewayHealth))
async def show_health(parts: Parts, caller: ReadsMetrics) -> dict[str, Any]:
    """The health of the gateway over all its processes, for people."""
    state = await _state(parts)
    reasons = parts.health.united()
    status, since = state.status, state.since
    if reasons and status == "ok":  # they do not last long enough yet
        status, since = "degraded", reasons[0].since
    recovering = status == "degraded" and not reasons
    affected = {CODES[reason.code].component for reason in reasons if reason.code in CODES}
    figures, peers = parts.health.figures(), parts.peers
    return {
        "status": status,
        "since": rfc3339(since) if since else None,
        "announced": state.status == "degraded" and state.announced,
        "version": parts.version,
        "reasons": [_reason(reason) for reason in reasons],
        "recovering": recovering,
        "last_reasons": [_reason(reason) for reason in state.reasons] if recovering else [],
        "components": {
            name: {"status": "degraded" if name in affected else "ok"} | figures.get(name, {})
            for name in COMPONENTS
        },
        "processes": [
            _process(peer, leads=peer.process == peers.leader, answers=peer is peers.own)
            for peer in sorted(
                (peers.own, *peers.others), key=lambda peer: (peer.host, peer.started)
            )
        ],
    }


@metrics.get("/metrics", responses=answers(None, 200, media_type=CONTENT_TYPE))
async def show_metrics(parts: Parts, caller: ReadsMetrics, request: Request) -> Response:
    """The metrics of all processes of this gateway's `serve`, for Prometheus: in OpenMetrics, with
    exemplars, where `Accept` prefers `application/openmetrics-text`."""
    return await metrics_response(parts, request)


async def metrics_response(parts: HealthParts, request: Request) -> Response:
    """The metrics in the format that the request prefers."""
    text, content_type = await parts.metrics.text(", ".join(request.headers.getlist("accept")))
    return Response(text, headers={"content-type": content_type, "vary": "Accept"})


async def _state(parts: HealthParts) -> HealthState:
    """What is stored, or what this process has decided where that cannot be read."""
    if not parts.health.nats_unreachable:
        with contextlib.suppress(LogUnavailable, TimeoutError):
            async with asyncio.timeout(READ_TIMEOUT):
                stored = await parts.leader.stored()
                if stored is not None:
                    return stored
    return parts.health.tracker.state


def _reason(reason: UnitedReason) -> dict[str, Any]:
    code = CODES.get(reason.code)  # a newer process may have others
    return shown_reason(reason) | {
        "component": code.component if code else "",
        "remedy": code.remedy if code else "",
        "see": code.see if code else "",
    }


def _process(peer: Heartbeat, *, leads: bool, answers: bool) -> dict[str, Any]:
    return {
        "process": peer.process,
        "host": peer.host,
        "pid": peer.pid,
        "version": peer.version,
        "started_at": rfc3339(peer.started) if peer.started else None,
        "leader": leads,
        "answers": answers,
        "reasons": list(dict.fromkeys(reason.code for reason in peer.reasons)),
    }
