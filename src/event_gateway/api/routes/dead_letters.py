"""``/v1/dead-letters``: lists and replays dead letters."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries, ReadsDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.deliveries import (
    DeadLetterAnswer,
    ListedDeadLetter,
    ReplayAnswer,
)
from event_gateway.api.openapi.described import LOCATION, SchemaOf, answers
from event_gateway.api.routes.dead_letter_selection import (
    DeadLetterFilter,
    DeadLetterSelection,
    checked_webhook,
    filter_of,
    narrowed_types,
)
from event_gateway.api.routes.replays import ReplayParts, begin, checked_types
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import (
    NOT_COUNTED,
    NOT_TOLD,
    Limit,
    SeqPath,
    Total,
    cursor_of,
    is_whole,
    page_answer,
    read_cursor,
    time_of,
)
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.dead_letters import DeadLetterLog, StoredDeadLetter
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.webhook.replay import Replay
from event_gateway.state.ledger import Ledger
from event_gateway.state.replays import new_id
from event_gateway.state.runs import Runs

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], route_class=GuardedRoute)

MAX_IDS = 1000

# The id of a dead letter: its sequence in the stream of dead letters.
LetterId = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]


class _Before(msgspec.Struct, frozen=True, array_like=True):
    """The id before which a page of the list begins."""

    id: LetterId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterParts:
    """What the routes use."""

    dead_letters: DeadLetterLog
    selection: DeadLetterSelection
    ledger: Ledger
    runs: Runs
    replays: ReplayParts


Parts = Annotated[DeadLetterParts, Depends(provided(DeadLetterParts))]


class _ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    ids: list[LetterId] | None = None
    webhook: str | None = None
    types: list[str] = []
    reason: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    since: str | None = None
    until: str | None = None
    all: bool = False
    dry_run: bool = False


NewReplay = Annotated[dict[str, Any], Body(), SchemaOf(_ReplayRequest)]


@router.get("", responses=answers(Page[ListedDeadLetter]))
async def list_dead_letters(
    parts: Parts,
    caller: ReadsDeliveries,
    webhook: str | None = None,
    type: str | None = Query(None, description="A pattern of the event's type."),
    reason: str | None = Query(None, description="Such as ServerError or Expired."),
    since: str | None = Query(None, description="RFC 3339: dead-lettered at or after this time."),
    until: str | None = Query(None, description="RFC 3339: dead-lettered before this time."),
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """Dead letters, the newest first. A page may hold fewer than ``limit`` items and have a next
    page."""
    filters = filter_of(webhook, type, reason, since, until)
    position = read_cursor(cursor, _Before)
    dead_letters, before = await parts.selection.latest(
        caller, filters, before=None if position is None else position.id, limit=limit
    )
    replayed = await _replayed_at(parts, dead_letters)
    items = [
        shown(stored, replayed_at)
        for stored, replayed_at in zip(dead_letters, replayed, strict=True)
    ]
    following = cursor_of(None if before is None else _Before(before))
    total: Total | int = len(items)
    if not is_whole(cursor, following):
        total = NOT_TOLD if is_narrowed(caller) else await _count(parts, filters)
    return page_answer(items, following, total)


# Only numbers, so that GET of another route's path, such as /replay, is answered with 405.
@router.get("/{letter_id:seq}", responses=answers(DeadLetterAnswer))
async def show_dead_letter(parts: Parts, caller: ReadsDeliveries, letter_id: SeqPath) -> Response:
    """One dead letter: its event, all attempts, and the webhook as it was then."""
    stored = await parts.dead_letters.read(letter_id)
    if stored is None or not parts.selection.may_see(caller, stored):
        raise Problem(404, f"there is no dead letter {letter_id}")
    (replayed_at,) = await _replayed_at(parts, [stored])
    answer = shown(stored, replayed_at) | {
        "attempts": stored.body.attempts,
        "webhook": stored.body.webhook,
        # Raw: some JSON, such as huge numbers, does not survive decoding to Python values.
        "event": msgspec.Raw(to_structured(stored.event)),
    }
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post(
    "/replay", status_code=202, responses=answers(ReplayAnswer, 202, 409, headers=LOCATION)
)
async def replay_dead_letters(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("dead-letters.replay", "replay")],
    once: Once,
    response: Response,
    body: NewReplay,
) -> dict[str, Any]:
    """Starts a replay of dead letters; its progress is at ``/v1/replays``.

    ``{"ids": [1, 2]}``; or a filter by ``webhook``, ``types`` (patterns), ``reason``, ``since`` and
    ``until``; or ``{"all": true}``. A filter and ``all`` leave out what was replayed before.
    ``dry_run`` only counts. A caller that is narrowed to namespaces or types names one webhook, or
    ids of one webhook.
    """
    given = body_as(_ReplayRequest, body)
    filters = (given.webhook, given.reason, given.since, given.until, given.types or None)
    filtered = any(value is not None for value in filters)
    if sum((given.ids is not None, filtered, given.all)) != 1:
        raise InvalidDefinition("", "name ids, or a filter (webhook, types, reason, since, until), "
                                    'or {"all": true}')  # fmt: skip
    if given.ids is not None and not 1 <= len(given.ids) <= MAX_IDS:
        raise InvalidDefinition("ids", f"must be 1 to {MAX_IDS}")
    positions = tuple(dict.fromkeys(given.ids or ()))
    if is_narrowed(caller):
        given.webhook = await parts.selection.one_webhook(
            caller, webhook_id=given.webhook, ids=positions
        )
        given.types = narrowed_types(caller, checked_types(given.types))
    replay = Replay(
        id=new_id(),
        webhook=checked_webhook(given.webhook),
        types=checked_types(given.types),
        reason=given.reason,
        since=time_of("since", given.since),
        until=time_of("until", given.until),
        until_seq=len(positions) or await parts.dead_letters.last_position(),
        positions=positions,
        dry_run=given.dry_run,
        created_at=time.time(),
    )
    return await begin(parts.replays, caller, replay, response, call)


async def _count(parts: DeadLetterParts, filters: DeadLetterFilter) -> Total:
    """How many dead letters pass a filter, where that is known without reading them."""
    if filters.type is not None or filters.reason is not None:
        return NOT_COUNTED
    if filters.since is None and filters.until is None:
        return Total(await parts.dead_letters.count(filters.webhook))
    return Total(await parts.selection.count(filters))


async def _replayed_at(
    parts: DeadLetterParts, dead_letters: Sequence[StoredDeadLetter]
) -> list[float | None]:
    """When each was replayed last, in seconds since the epoch; None if it was not."""
    replayed: dict[int, float | None] = {}
    by_webhook = sorted(dead_letters, key=webhook_id_of)
    for webhook_id, group in itertools.groupby(by_webhook, key=webhook_id_of):
        ids = [stored.position for stored in group]
        replayed.update(zip(ids, await parts.runs.last_used(webhook_id, ids), strict=True))
    return [replayed[stored.position] for stored in dead_letters]


def webhook_id_of(stored: StoredDeadLetter) -> str:
    """The webhook whose delivery it was."""
    return stored.body.webhook_id


def shown(stored: StoredDeadLetter, replayed_at: float | None) -> dict[str, Any]:
    """A dead letter as a list has it."""
    body, event = stored.body, stored.event
    last = body.attempts[-1] if body.attempts else None
    return {
        "id": stored.position,
        "time": rfc3339(stored.time),
        "webhook_id": body.webhook_id,
        "url": body.url,
        "reason": body.reason,
        "event_id": event.id,
        "event_type": event.type,
        "source": event.source,
        "attempts": len(body.attempts),
        "last_error": last and last.error_message,
        "stream": body.stream,
        "sequence": body.seq,
        "run": body.run,
        "replayed_at": rfc3339_or_none(replayed_at),
    }
