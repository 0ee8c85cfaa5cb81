"""``/v1/deliveries`` and a webhook's deliveries: status, attempts, retry and cancel by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries, ReadsDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.deliveries import DeliveryAnswer, ListedDelivery
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import (
    NOT_COUNTED,
    Limit,
    Total,
    cursor_of,
    is_whole,
    page_answer,
    read_cursor,
    time_of,
)
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed, may_read, may_touch
from event_gateway.core.access.principal import Principal
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.webhook.delivery import Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup.deliveries import DeliveryList, DeliveryPosition, DeliveryQuery
from event_gateway.registration.visibility import webhook_of, webhook_or_none, webhooks_of
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.state.ledger import Ledger
from event_gateway.state.records import Record
from event_gateway.state.tracking import TrackedDelivery

router = APIRouter(prefix="/v1", tags=["deliveries"], route_class=GuardedRoute)

Since = Annotated[str | None, Query(description="RFC 3339: changed at or after this time.")]
Until = Annotated[str | None, Query(description="RFC 3339: changed before this time.")]
Type = Annotated[str | None, Query(description="A pattern of event types.")]
Webhooks = Annotated[
    list[str] | None, Query(max_length=100, description="Only to this webhook; repeatable.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParts:
    """What the routes use."""

    registry: Registry
    listing: DeliveryList
    ledger: Ledger
    reader: EventReader
    manual_retry: ManualRetry


Parts = Annotated[DeliveryParts, Depends(provided(DeliveryParts))]


@router.get("/webhooks/{webhook_id}/deliveries", responses=answers(Page[ListedDelivery]))
async def list_deliveries(
    parts: Parts,
    caller: ReadsDeliveries,
    webhook_id: str,
    status: Status | None = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The last 1,000 deliveries of a webhook that changed, the latest first; after them the others
    that wait, in the order in which they are attempted.

    With ``status`` ``pending``, ``retrying`` or ``in_progress``: all deliveries of that status, in
    the order in which they are attempted. A page may hold fewer than ``limit`` items and have a
    next page.
    """
    webhook = webhook_of(caller, parts.registry, webhook_id)
    wanted = _wanted(caller, {webhook_id: webhook}, status, since, until)
    after = read_cursor(cursor, DeliveryPosition)
    page = await parts.listing.page({webhook_id: webhook}, wanted, limit, after)
    total = Total(len(page.deliveries))
    if after is not None or page.next is not None:
        total = Total(*await parts.listing.total(webhook, wanted))
    return page_answer([_listed(each) for each in page.deliveries], cursor_of(page.next), total)


@router.get("/deliveries", responses=answers(Page[ListedDelivery], 200, 404))
async def list_all_deliveries(
    parts: Parts,
    caller: ReadsDeliveries,
    webhook: Webhooks = None,
    type: Type = None,
    status: Status | None = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The deliveries to all webhooks, or some: of each the last 1,000 that changed, merged, the
    latest first; after them the others that wait, in the order in which they are attempted.

    With ``status`` ``pending``, ``retrying`` or ``in_progress``: all deliveries of that status, in
    the order in which they are attempted, those of ordered webhooks first. A request looks at about
    20,000 deliveries, and with ``type`` at the events of 2,000, as a delivery does not say its
    type: a page may hold fewer than ``limit`` items, or none, and have a next page. ``total`` is
    null if there are several pages.
    """
    if type is not None:
        check_pattern(type, "type")
    if webhook is None:
        webhooks = webhooks_of(caller, parts.registry)
    else:
        webhooks = {name: webhook_of(caller, parts.registry, name) for name in webhook}
    if type is not None and is_narrowed(caller) and not may_touch(caller, (type,)):
        webhooks = {}
    wanted = _wanted(caller, webhooks, status, since, until, type)
    page = await parts.listing.page(webhooks, wanted, limit, read_cursor(cursor, DeliveryPosition))
    following = cursor_of(page.next)
    total = Total(len(page.deliveries)) if is_whole(cursor, following) else NOT_COUNTED
    return page_answer([_listed(each) for each in page.deliveries], following, total)


@router.get("/deliveries/{webhook_id}/{event_id:path}", responses=answers(DeliveryAnswer))
async def show_delivery(
    parts: Parts,
    caller: ReadsDeliveries,
    webhook_id: str,
    event_id: str,
    source: str | None = None,
) -> dict[str, Any]:
    """A delivery's status, its attempts and the time of the next one.

    ``source``: the event's, needed if several sources have events of this id.
    """
    record = await record_of(parts, caller, webhook_id, event_id, source)
    attempts = msgspec.to_builtins(record.attempts)
    return _shown(webhook_id, record) | {
        "attempts": attempts,
        "dead_letter": record.dead_letter or None,
    }


@router.post(
    "/deliveries/{webhook_id}/{event_id:path}/retry",
    status_code=202,
    responses=answers(DeliveryAnswer, 202, 409),
)
async def retry_delivery(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("deliveries.retry", "delivery/{webhook_id}/{event_id}")],
    once: Once,
    webhook_id: str,
    event_id: str,
    source: str | None = None,
) -> dict[str, Any]:
    """Attempts a pending delivery at once; starts a new run of one that has ended."""
    webhook_of(caller, parts.registry, webhook_id)
    call.about(after={"source": source})
    if is_narrowed(caller):
        await record_of(parts, caller, webhook_id, event_id, source)
    await parts.manual_retry.retry(webhook_id, event_id, source)
    return await show_delivery(parts, caller, webhook_id, event_id, source)


@router.post(
    "/deliveries/{webhook_id}/{event_id:path}/cancel", responses=answers(DeliveryAnswer, 200, 409)
)
async def cancel_delivery(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("deliveries.cancel", "delivery/{webhook_id}/{event_id}")],
    webhook_id: str,
    event_id: str,
    source: str | None = None,
) -> dict[str, Any]:
    """Cancels a pending delivery. 409 if an attempt is in progress or the delivery has ended."""
    call.about(after={"source": source})
    if is_narrowed(caller):
        await record_of(parts, caller, webhook_id, event_id, source)
    await parts.manual_retry.cancel(webhook_id, event_id, source)
    return await show_delivery(parts, caller, webhook_id, event_id, source)


async def record_of(
    parts: DeliveryParts, caller: Principal, webhook_id: str, event_id: str, source: str | None
) -> Record:
    """The record of a delivery. Raises a Problem if there is none that the caller may see: a former
    webhook of this id may have had another owner."""
    none = Problem(404, f"no delivery of {event_id} to {webhook_id} is recorded")
    webhook = webhook_or_none(caller, parts.registry, webhook_id)
    if webhook is None and is_narrowed(caller):
        raise none
    record = await parts.ledger.read(webhook_id, event_id, source)
    if record is None:
        raise none
    if webhook is None or not is_narrowed(caller):
        return record
    if record.updated_at < webhook.created_at or not await _may_read(parts, caller, record):
        raise none
    return record


async def _may_read(parts: DeliveryParts, caller: Principal, record: Record) -> bool:
    """Whether a caller may read the event of a delivery, as far as the log still holds it."""
    received = await parts.reader.read(record.stream, record.seq)
    if received is None or received.event.source != record.source:
        return True
    return may_read(caller, received)


def _wanted(
    caller: Principal,
    webhooks: Mapping[str, Webhook],
    status: Status | None,
    since: str | None,
    until: str | None,
    type: str | None = None,
) -> DeliveryQuery:
    """What a request lists. A narrowed caller gets only what changed since a webhook was
    registered: a former webhook of its id may have had another owner."""
    begins = {}
    if is_narrowed(caller):
        begins = {name: webhook.created_at for name, webhook in webhooks.items()}
    return DeliveryQuery(status, type, time_of("since", since), time_of("until", until), begins)


def _listed(delivery: TrackedDelivery) -> dict[str, Any]:
    return _shown(delivery.webhook_id, delivery) | {"attempts": delivery.attempts}


def _shown(webhook_id: str, delivery: Record | TrackedDelivery) -> dict[str, Any]:
    next_at = delivery.next_attempt_at
    return {
        "webhook_id": webhook_id,
        "event_id": delivery.event_id,
        "source": delivery.source,
        "status": delivery.status.value,
        "updated_at": rfc3339(delivery.updated_at),
        "last_error": delivery.last_error,
        "next_attempt_at": rfc3339_or_none(next_at),
        "stream": delivery.stream,
        "sequence": delivery.seq,
        "run": delivery.run,
        "repeats": delivery.run_by or None,
    }
