"""``POST /v1/deliveries/bulk``: retries or cancels many deliveries of a webhook."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.bulk import BulkDeliveries
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.deliveries import Parts, record_of
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.pages import cursor_of, read_cursor, time_of
from event_gateway.api.server.problems import HANDLED, problem_of
from event_gateway.audit.trail import Call
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.webhook.delivery import Status
from event_gateway.lookup.deliveries import DeliveryPosition, DeliveryQuery
from event_gateway.registration.visibility import webhook_of
from event_gateway.state.tracking import TrackedDelivery

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"], route_class=GuardedRoute)

MAX_DELIVERIES = 1000  # that one request changes
MAX_FAILED = 100  # that an answer names
MAX_PAGES = 2  # of the list that one request reads: a page looks at 20,000 deliveries
AT_ONCE = 32
_StatusName = Literal[
    "pending", "in_progress", "retrying", "failed", "succeeded", "dead_letter", "cancelled"
]
_WAITING: tuple[_StatusName, ...] = ("pending", "retrying")


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where to go on: which of the statuses, and after which of its deliveries."""

    at: int
    after: DeliveryPosition | None


class _Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    action: Literal["retry", "cancel"]
    webhook: str
    status: Annotated[list[_StatusName], msgspec.Meta(min_length=1, max_length=8)] | None = None
    since: str | None = None
    until: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_DELIVERIES)] = MAX_DELIVERIES
    cursor: str | None = None
    dry_run: bool = False


Change = Annotated[dict[str, Any], Body(), SchemaOf(_Request)]


@router.post("/bulk", responses=answers(BulkDeliveries, 200, 404))
async def change_deliveries(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("deliveries.bulk", "webhook/{webhook}")],
    once: Once,
    body: Change,
) -> dict[str, Any]:
    """Retries or cancels deliveries of a webhook, by ``status`` (``pending`` and ``retrying`` if
    none is given), ``since`` and ``until``, as the list of deliveries has them.

    ``dry_run`` only counts. At most 1,000 at a time: ``next`` is the cursor to go on with. To
    repeat what has ended for many events, a replay does it: of dead letters, or of the log.
    """
    given = body_as(_Request, body)
    webhook = webhook_of(caller, parts.registry, given.webhook)
    narrowed = is_narrowed(caller)
    since, until = time_of("since", given.since), time_of("until", given.until)
    if narrowed:  # a former webhook of this id may have had another owner
        since = max(since or 0.0, webhook.created_at)
    failed: list[dict[str, str]] = []
    matched = changed = 0
    gate = asyncio.Semaphore(AT_ONCE)

    async def change(delivery: TrackedDelivery) -> bool:
        event_id, source = delivery.event_id, delivery.source
        async with gate:
            try:
                if narrowed:
                    await record_of(parts, caller, webhook.id, event_id, source)
                if given.dry_run:
                    return True
                if given.action == "retry":
                    await parts.manual_retry.retry(webhook.id, event_id, source)
                else:
                    await parts.manual_retry.cancel(webhook.id, event_id, source)
            except HANDLED as error:
                detail = problem_of(error).detail
                failed.append({"event_id": event_id, "source": source, "detail": detail})
                return False
            return True

    statuses = [Status(name) for name in dict.fromkeys(given.status or _WAITING)]
    place = read_cursor(given.cursor, _Place) or _Place(0, None)
    at, after = min(max(0, place.at), len(statuses)), place.after
    for _ in range(MAX_PAGES):
        if at == len(statuses) or matched == given.limit:
            break
        page = await parts.listing.page(
            {webhook.id: webhook}, DeliveryQuery(statuses[at], since=since, until=until),
            given.limit - matched, after,
        )  # fmt: skip
        matched += len(page.deliveries)
        changed += sum(await asyncio.gather(*map(change, page.deliveries)))
        at, after = (at, page.next) if page.next is not None else (at + 1, None)
    outcome = {
        "action": given.action, "webhook": webhook.id, "dry_run": given.dry_run,
        "matched": matched, "changed": changed,
        "failed": failed[:MAX_FAILED], "failed_omitted": max(0, len(failed) - MAX_FAILED),
        "next": cursor_of(_Place(at, after)) if at < len(statuses) else None,
    }  # fmt: skip
    call.about(after=outcome | {"status": [status.value for status in statuses]})
    return outcome
