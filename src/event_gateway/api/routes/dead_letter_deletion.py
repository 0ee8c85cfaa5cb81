"""``DELETE /v1/dead-letters``: deletes one dead letter, or those that pass a filter."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.deliveries import Purged
from event_gateway.api.openapi.described import answers
from event_gateway.api.routes.dead_letter_selection import SCAN, DeadLetterFilter, filter_of
from event_gateway.api.routes.dead_letters import (
    DeadLetterParts,
    LetterId,
    Parts,
    shown,
    webhook_id_of,
)
from event_gateway.api.server.pages import SeqPath, cursor_of, read_cursor
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.dead_letters import StoredDeadLetter
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.delivery import FINAL

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], route_class=GuardedRoute)


@router.delete("/{letter_id:seq}", status_code=204, responses=answers(None, 204, 409))
async def delete_dead_letter(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("dead-letters.delete", "dead-letter/{letter_id}")],
    letter_id: SeqPath,
) -> None:
    """Deletes one dead letter. 409 while it is being replayed, as a delivery may still need it."""
    stored = await parts.dead_letters.read(letter_id)
    if is_narrowed(caller) and (stored is None or not parts.selection.may_see(caller, stored)):
        raise Problem(404, f"there is no dead letter {letter_id}")
    if stored is not None and await _needed(parts, stored):
        raise Problem(409, f"the dead letter {letter_id} is being replayed")
    if stored is not None:
        call.about(before=shown(stored, None))
    if not await parts.dead_letters.delete(letter_id):
        raise Problem(404, f"there is no dead letter {letter_id}")


@router.delete("", responses=answers(Purged, 200, 409))
async def purge_dead_letters(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("dead-letters.purge", "dead-letter")],
    webhook: str | None = None,
    type: str | None = Query(None, description="A pattern of the event's type."),
    reason: str | None = None,
    since: str | None = None,
    until: str | None = Query(None, description="RFC 3339: dead-lettered before this time."),
    all: bool = Query(False, description="All dead letters; needed if there is no filter."),
    dry_run: bool = Query(False, description="Only count."),
    cursor: str | None = None,
) -> dict[str, Any]:
    """Deletes dead letters by a filter. If ``next`` is not null, repeat the request with it as
    ``cursor`` to go on.

    409 while some of the webhook's dead letters are being replayed, as deliveries may still need
    them.
    """
    filters = filter_of(webhook, type, reason, since, until)
    if all != (filters == DeadLetterFilter(None, None, None, None, None)):
        raise InvalidDefinition(
            "all", "name a webhook, a type, a reason or a time, or give all=true"
        )
    from_id = read_cursor(cursor, LetterId)
    narrowed = is_narrowed(caller)
    if not dry_run and not narrowed:
        await _check_unused(parts, webhook)
    last = await parts.dead_letters.last_position()
    if type is None and reason is None and since is None and not narrowed:
        before = (
            last + 1
            if filters.until is None
            else await parts.selection.first_since(filters.until, last)
        )
        count = await parts.selection.count_before(webhook, before)
        if not dry_run:
            count = await parts.dead_letters.purge(webhook_id=webhook, before=before)
        _purged(call, filters, count, dry_run=dry_run)
        return {"purged": count, "dry_run": dry_run, "next": None}
    dead_letters, next_id = await parts.selection.select(
        caller, filters, from_id=from_id, limit=SCAN
    )
    count = len(dead_letters)
    if not dry_run:
        for webhook_id in {webhook_id_of(stored) for stored in dead_letters} if narrowed else ():
            await _check_unused(parts, webhook_id)
        count = await parts.dead_letters.delete_all([stored.position for stored in dead_letters])
    _purged(call, filters, count, dry_run=dry_run)
    return {"purged": count, "dry_run": dry_run, "next": cursor_of(next_id)}


def _purged(call: Call, filters: DeadLetterFilter, count: int, *, dry_run: bool) -> None:
    call.about(after=msgspec.to_builtins(filters) | {"purged": count, "dry_run": dry_run})


async def _check_unused(parts: DeadLetterParts, webhook: str | None) -> None:
    """Raises a Problem if dead letters (of a webhook) are being replayed."""
    leased = await parts.runs.dead_letter_in_use(webhook)
    if leased is not None:
        raise Problem(409, f"dead letters are being replayed, {leased} among them: wait until they "
                           "are delivered, or cancel these deliveries")  # fmt: skip


async def _needed(parts: DeadLetterParts, stored: StoredDeadLetter) -> bool:
    """Whether a delivery that has not ended replays this dead letter."""
    event = stored.event
    record = await parts.ledger.read(stored.body.webhook_id, event.id, event.source)
    return (
        record is not None and record.dead_letter == stored.position and record.status not in FINAL
    )
