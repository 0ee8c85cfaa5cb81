"""``/v1/overview``: the gateway at a glance."""

import heapq
import time
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from event_gateway.api.access.callers import ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.overview import OverviewAnswer
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import STATES, Webhook
from event_gateway.observability.alerts.book import AlertBook
from event_gateway.observability.health import Health
from event_gateway.registration.visibility import sees_since, streams_of, webhooks_of
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues

router = APIRouter(prefix="/v1/overview", tags=["health"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

MAX_MEASURED = 1000  # webhooks whose queues are looked at
MAX_WORST = 10  # webhooks that the answer names


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewParts:
    """What the route uses. ``version``: the gateway's."""

    version: str
    registry: Registry
    queues: Queues
    dead_letters: DeadLetterLog
    book: AlertBook
    health: Health
    peers: Peers


Parts = Annotated[OverviewParts, Depends(provided(OverviewParts))]


@router.get("", responses=answers(OverviewAnswer))
async def show_overview(parts: Parts, caller: ReadsWebhooks) -> dict[str, Any]:
    """What the gateway has registered, and its waiting deliveries, over all processes.

    A narrowed caller gets what concerns its own webhooks, and the health of the whole.
    """
    narrowed = is_narrowed(caller)
    webhooks = {
        webhook_id: webhook
        for webhook_id, webhook in webhooks_of(caller, parts.registry).items()
        if not webhook.deleting
    }
    states = Counter(webhook.state for webhook in webhooks.values())
    alerts = Counter(
        alert.state
        for alert in parts.book.alerts.values()
        if sees_since(caller, parts.registry, alert.webhook, alert.since)
    )
    degraded = parts.health.united() or parts.health.tracker.state.status == "degraded"
    return {
        "version": parts.version,
        "time": rfc3339(time.time()),
        "status": "degraded" if degraded else "ok",
        "processes": 1 + len(parts.peers.others),
        "webhooks": {name: states[name] for name in STATES},
        "streams": len(streams_of(caller, parts.registry)),
        "alerts": {name: alerts[name] for name in ("firing", "pending")},
        "dead_letters": None if narrowed else await _dead_letters(parts.dead_letters),
        "queues": await _queues(parts.queues, webhooks),
    }


async def _dead_letters(log: DeadLetterLog) -> int | None:
    try:
        return await log.count()
    except BrokerError:
        return None


async def _queues(queues: Queues, webhooks: dict[str, Webhook]) -> dict[str, Any] | None:
    """What waits for these webhooks; None while Redis does not say."""
    try:
        names, complete = await queues.waiting(MAX_MEASURED)
        seen = [name for name in names if name in webhooks]
        figures = await queues.figures(seen)
    except StateError:
        return None
    filled = {name: each for name, each in zip(seen, figures, strict=True) if each.depth}
    worst = heapq.nlargest(MAX_WORST, filled, key=lambda name: filled[name].oldest)
    return {
        "waiting": sum(each.depth for each in filled.values()),
        "oldest_seconds": max((each.oldest for each in filled.values()), default=0.0),
        "breakers_not_closed": sum(each.breaker != "closed" for each in filled.values()),
        "webhooks": len(filled),
        "complete": complete,
        "worst": [
            {
                "webhook_id": name,
                "state": webhooks[name].state,
                "breaker": filled[name].breaker,
                "queue_depth": filled[name].depth,
                "oldest_seconds": filled[name].oldest,
            }
            for name in worst
        ],
    }
