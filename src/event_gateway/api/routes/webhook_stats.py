"""``/v1/webhooks/{id}/stats``: the state of a webhook's deliveries."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from event_gateway.api.access.callers import ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.webhooks import WebhookStats
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.definitions import present
from event_gateway.api.server.dependencies import provided
from event_gateway.broker.registry import Registry
from event_gateway.core.text.times import rfc3339_or_none
from event_gateway.registration.visibility import webhook_of
from event_gateway.registration.waiting import Waiting
from event_gateway.state.queues import DeliveryCounts, Queues

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookStatsParts:
    """What the route uses."""

    registry: Registry
    queues: Queues
    waiting: Waiting


Parts = Annotated[WebhookStatsParts, Depends(provided(WebhookStatsParts))]


@router.get("/{webhook_id}/stats", responses=answers(WebhookStats, 200, 409))
async def show_webhook_stats(
    parts: Parts, caller: ReadsWebhooks, webhook_id: str
) -> dict[str, Any]:
    """The state of a webhook's deliveries over all processes: circuit breaker, queue, counts."""
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    state = await parts.queues.state(webhook)
    return {
        "webhook_id": webhook_id,
        "state": webhook.state,
        "breaker": {
            "state": state.breaker,
            "open_since": rfc3339_or_none(state.open_since),
            "next_probe_at": rfc3339_or_none(state.open_until),
        },
        "throttled_until": rfc3339_or_none(state.throttled_until),
        "failing_since": rfc3339_or_none(state.failing_since),
        "in_flight": state.in_flight,
        "queue_depth": state.depth,
        "waiting": max(0, state.depth - state.in_flight),
        "events_behind": await parts.waiting.events_behind(webhook),
        "oldest_waiting_at": rfc3339_or_none(state.oldest),
        "oldest_waiting_seconds": state.oldest and round(max(0.0, time.time() - state.oldest), 3),
        "attempts_per_second": round(state.rate, 3),
        "last_success_at": rfc3339_or_none(state.last_success),
        "last_failure_at": rfc3339_or_none(state.last_failure),
        **_counts(state.total),
        "last_24h": _counts(state.day),
    }


def _counts(counts: DeliveryCounts) -> dict[str, Any]:
    latency = counts.latency
    return {
        "attempts": counts.attempts,
        "succeeded": counts.succeeded,
        "success_rate": counts.success_rate,
        "dead_lettered": counts.dead_lettered,
        "cancelled": counts.cancelled,
        "mean_latency_seconds": None if latency is None else round(latency, 3),
    }
