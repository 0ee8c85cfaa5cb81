"""``/v1/subscriptions``: who listens, and the end of that; ``/v1/tokens``: keys for browsers."""

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from event_gateway.api.server.auth import Authenticator, GuardedRoute
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import cursor_of, read_cursor
from event_gateway.api.server.problems import Problem, unavailable
from event_gateway.broker.registry import Registry
from event_gateway.config.token_model import token_from_json
from event_gateway.core.text.times import rfc3339
from event_gateway.streaming.subscription_directory import ListedSubscription, SubscriptionDirectory

router = APIRouter(prefix="/v1", tags=["streams"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionParts:
    """What the routes use."""

    registry: Registry
    directory: SubscriptionDirectory
    authenticator: Authenticator


Parts = Annotated[SubscriptionParts, Depends(provided(SubscriptionParts))]


@router.get("/subscriptions")
async def list_subscriptions(
    parts: Parts,
    stream: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """All live subscriptions, of all processes, by id. ``complete`` is false where a process did
    not answer."""
    after = read_cursor(cursor, str) or ""
    found, _, whole = await parts.directory.subscribers(stream=stream, after=after, limit=limit + 1)
    page = found[:limit]
    return {
        "items": [shown(one) for one in page],
        "next": cursor_of(page[-1].id) if len(found) > limit else None,
        "complete": whole,
    }


@router.delete("/subscriptions/{subscription_id}", status_code=204)
async def close_subscription(parts: Parts, subscription_id: str) -> None:
    """Ends a subscription, in whichever process it is. Its client is told."""
    found = await parts.directory.close(subscription_id)
    if found is None:
        raise unavailable("another process of the gateway")
    if not found:
        raise Problem(404, f"there is no subscription {subscription_id}")


@router.post("/tokens", status_code=201)
async def make_token(parts: Parts, body: dict[str, Any]) -> dict[str, Any]:
    """Makes a token that opens some streams, or subjects, for a short time."""
    asked = token_from_json(body, frozenset(parts.registry.streams))
    until = time.time() + asked.lifetime
    return {
        "token": parts.authenticator.issue_token(asked.principal, until),
        "expires_at": rfc3339(until),
        "principal": asked.principal.name,
        "streams": list(asked.principal.streams or ()),
        "subjects": list(asked.principal.subjects),
    }


def shown(one: ListedSubscription) -> dict[str, Any]:
    """A subscription as the API shows it."""
    return {
        "id": one.id,
        "stream": one.stream,
        "subjects": list(one.subjects),
        "principal": one.principal,
        "since": rfc3339(one.since),
        "from": json.loads(one.start),
        "durable": one.durable or None,
        "position": one.position,
        "lag": one.lag,
        "lagging": one.lagging,
        "sent": one.sent,
        "process": one.process,
    }
