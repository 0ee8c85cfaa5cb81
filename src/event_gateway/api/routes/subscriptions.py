"""``/v1/subscriptions``: lists and ends live subscriptions."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ReadsStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.streams import SubscriptionPage
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import Limit, Total, cursor_of, page_members, read_cursor
from event_gateway.api.server.problems import Problem, unavailable
from event_gateway.audit.trail import Call
from event_gateway.core.access.subscription_view import view_of
from event_gateway.core.text.times import rfc3339
from event_gateway.streaming.subscription_directory import ListedSubscription, SubscriptionDirectory

router = APIRouter(prefix="/v1", tags=["streams"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionParts:
    """What the routes use."""

    directory: SubscriptionDirectory


Parts = Annotated[SubscriptionParts, Depends(provided(SubscriptionParts))]


@router.get("/subscriptions", responses=answers(SubscriptionPage))
async def list_subscriptions(
    parts: Parts,
    caller: ReadsStreams,
    stream: str | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The live subscriptions of all processes, by id. ``complete`` is false if a process did not
    answer."""
    after = read_cursor(cursor, str) or ""
    listed, total, complete = await parts.directory.subscribers(
        stream=stream, after=after, limit=limit + 1, view=view_of(caller)
    )
    page = listed[:limit]
    following = cursor_of(page[-1].id) if len(listed) > limit else None
    items = [shown(subscription) for subscription in page]
    members = page_members(items, following, Total(total, not complete))
    return members | {"complete": complete}


@router.delete("/subscriptions/{subscription_id}", status_code=204, responses=answers(None, 204))
async def close_subscription(
    parts: Parts,
    caller: ReadsStreams,
    call: Annotated[Call, audited("subscriptions.close", "subscription/{subscription_id}")],
    subscription_id: str,
) -> None:
    """Ends a subscription, whichever process has it, and tells its client."""
    view = view_of(caller)
    closed = view is None or await parts.directory.includes(view, subscription_id)
    if closed:
        closed = await parts.directory.close(subscription_id)
    if closed is None:
        raise unavailable("another process of the gateway")
    if not closed:
        raise Problem(404, f"there is no subscription {subscription_id}")


def shown(subscription: ListedSubscription) -> dict[str, Any]:
    """A subscription as the API shows it."""
    method, _, key = subscription.key.partition(":")
    return {
        "id": subscription.id,
        "stream": subscription.stream,
        "subjects": list(subscription.subjects),
        "principal": subscription.principal,
        "method": method or None,
        "key": key or None,
        "since": rfc3339(subscription.since),
        "from": json.loads(subscription.start),
        "durable": subscription.durable or None,
        "position": subscription.position,
        "lag": subscription.lag,
        "lagging": subscription.lagging,
        "sent": subscription.sent,
        "process": subscription.process,
    }
