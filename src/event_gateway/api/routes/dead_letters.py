"""``/v1/dead-letters``: lists, replays and deletes dead letters."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.routes.replays import ReplayParts, begin, checked_types
from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import cursor_of, read_cursor, time_of
from event_gateway.api.server.problems import Problem
from event_gateway.broker.dead_letters import DeadLetterLog, StoredDeadLetter
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, matches
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import FINAL
from event_gateway.core.webhook.replay import Replay
from event_gateway.state.ledger import Ledger
from event_gateway.state.replays import new_id
from event_gateway.state.runs import Runs

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], route_class=GuardedRoute)

SCAN = 5000  # dead letters that one request looks at: a page may hold fewer than match
READ = 500  # dead letters in one read
MAX_BYTES = 32 * 1024 * 1024  # of event data that one answer holds in memory
MAX_IDS = 1000

# The id of a dead letter: its sequence in the stream of dead letters.
LetterId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterParts:
    """What the routes use."""

    letters: DeadLetterLog
    ledger: Ledger
    runs: Runs
    replays: ReplayParts


Parts = Annotated[DeadLetterParts, Depends(provided(DeadLetterParts))]


class _Filter(msgspec.Struct, frozen=True):
    webhook: str | None
    type: str | None
    reason: str | None
    since: float | None
    until: float | None

    def passes(self, kept: StoredDeadLetter) -> bool:
        """Whether a dead letter (of the right webhook) passes the filter."""
        return (
            (self.type is None or matches(self.type, kept.event.type))
            and (self.reason is None or kept.letter.reason == self.reason)
            and (self.since is None or kept.time >= self.since)
            and (self.until is None or kept.time < self.until)
        )


class _ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    ids: list[LetterId] | None = None
    webhook: str | None = None
    types: list[str] = []
    reason: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    since: str | None = None
    until: str | None = None
    all: bool = False
    dry_run: bool = False


@router.get("")
async def list_dead_letters(
    parts: Parts,
    webhook: str | None = None,
    type: str | None = Query(None, description="A pattern of the event's type."),
    reason: str | None = Query(None, description="Such as ServerError or Expired."),
    since: str | None = Query(None, description="RFC 3339: dead-lettered at or after this time."),
    until: str | None = Query(None, description="RFC 3339: dead-lettered before this time."),
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
) -> dict[str, Any]:
    """Dead letters, the oldest first. A page may hold fewer than ``limit`` items and have a next
    page."""
    filters = _filter(webhook, type, reason, since, until)
    letters, following = await _scan(parts, filters, read_cursor(cursor, LetterId), limit)
    replayed = await _replayed_at(parts, letters)
    items = [_shown(kept, at) for kept, at in zip(letters, replayed, strict=True)]
    return {"items": items, "next": cursor_of(following)}


@router.get("/{letter_id}")
async def show_dead_letter(parts: Parts, letter_id: int) -> Response:
    """One dead letter: its event, all attempts, and the webhook as it was then."""
    kept = await parts.letters.read(letter_id)
    if kept is None:
        raise Problem(404, f"there is no dead letter {letter_id}")
    (replayed_at,) = await _replayed_at(parts, [kept])
    shown = _shown(kept, replayed_at) | {
        "attempts": kept.letter.attempts,
        "webhook": kept.letter.webhook,
        # Raw: some JSON, such as huge numbers, does not survive decoding to Python values.
        "event": msgspec.Raw(to_structured(kept.event)),
    }
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.post("/replay", status_code=202)
async def replay_dead_letters(
    parts: Parts, response: Response, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Starts a replay of dead letters; its progress is at ``/v1/replays``.

    ``{"ids": [1, 2]}``; or a filter by ``webhook``, ``types`` (patterns), ``reason``, ``since`` and
    ``until``; or ``{"all": true}``. A filter and ``all`` leave out what was replayed before.
    ``dry_run`` only counts.
    """
    given = body_as(_ReplayRequest, body)
    filters = (given.webhook, given.reason, given.since, given.until, given.types or None)
    filtered = any(value is not None for value in filters)
    if sum((given.ids is not None, filtered, given.all)) != 1:
        raise InvalidDefinition("", "name ids, or a filter (webhook, types, reason, since, until), "
                                    'or {"all": true}')  # fmt: skip
    if given.ids is not None and not 1 <= len(given.ids) <= MAX_IDS:
        raise InvalidDefinition("ids", f"must be 1 to {MAX_IDS}")
    places = tuple(dict.fromkeys(given.ids or ()))
    replay = Replay(
        id=new_id(),
        webhook=_checked(given.webhook),
        types=checked_types(given.types),
        reason=given.reason,
        since=time_of("since", given.since),
        until=time_of("until", given.until),
        until_seq=len(places) or await parts.letters.last_position(),
        places=places,
        dry_run=given.dry_run,
        created_at=time.time(),
    )
    return await begin(parts.replays, replay, response)


@router.delete("/{letter_id}", status_code=204)
async def delete_dead_letter(parts: Parts, letter_id: int) -> None:
    """Deletes one dead letter. 409 while it is being replayed, as a delivery may still need it."""
    kept = await parts.letters.read(letter_id)
    if kept is not None and await _needed(parts, kept):
        raise Problem(409, f"the dead letter {letter_id} is being replayed")
    if not await parts.letters.delete(letter_id):
        raise Problem(404, f"there is no dead letter {letter_id}")


@router.delete("")
async def purge_dead_letters(
    parts: Parts,
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
    filters = _filter(webhook, type, reason, since, until)
    if all != (filters == _Filter(None, None, None, None, None)):
        raise InvalidDefinition(
            "all", "name a webhook, a type, a reason or a time, or give all=true"
        )
    if not dry_run and (leased := await parts.runs.dead_letter_in_use(webhook)) is not None:
        raise Problem(409, f"dead letters are being replayed, {leased} among them: wait until they "
                           "are delivered, or cancel these deliveries")  # fmt: skip
    last = await parts.letters.last_position()
    if type is None and reason is None and since is None:
        before = last + 1 if filters.until is None else await _first(parts, filters.until, last)
        count = await _count(parts, webhook, before)
        if not dry_run:
            count = await parts.letters.purge(webhook_id=webhook, before=before)
        return {"purged": count, "dry_run": dry_run, "next": None}
    letters, following = await _scan(parts, filters, read_cursor(cursor, LetterId), SCAN)
    count = len(letters)
    if not dry_run:
        count = await parts.letters.delete_all([kept.position for kept in letters])
    return {"purged": count, "dry_run": dry_run, "next": cursor_of(following)}


async def _scan(
    parts: DeadLetterParts, filters: _Filter, from_id: int | None, limit: int
) -> tuple[list[StoredDeadLetter], int | None]:
    """At most ``limit`` dead letters that pass, from an id on; and the id to go on at, if there may
    be more."""
    passing: list[StoredDeadLetter] = []
    size = 0  # bytes of data in them
    scanned, since = 0, filters.since if from_id is None else None
    every = filters.type is None and filters.reason is None
    at, left = from_id or 1, 1
    while left and scanned < SCAN:
        letters, last, left = await parts.letters.page(
            webhook_id=filters.webhook,
            from_position=at,
            since=since,
            limit=min(READ, limit) if every else READ,
        )
        since = None
        at = last + 1
        scanned += len(letters)
        for kept in letters:
            if filters.until is not None and kept.time >= filters.until:
                return passing, None
            if filters.passes(kept):
                if len(passing) == limit or size > MAX_BYTES:
                    return passing, kept.position
                passing.append(kept)
                size += len(kept.event.data)
    return passing, at if left else None


async def _needed(parts: DeadLetterParts, kept: StoredDeadLetter) -> bool:
    """Whether a delivery that has not ended replays this dead letter."""
    event = kept.event
    record = await parts.ledger.read(kept.letter.webhook_id, event.id, event.source)
    return record is not None and record.letter == kept.position and record.status not in FINAL


async def _first(parts: DeadLetterParts, since: float, last: int) -> int:
    """The id of the first dead letter since a time; ``last + 1`` if there is none."""
    _, letter_id, _ = await parts.letters.page(webhook_id=None, since=since, limit=1)
    return letter_id or last + 1  # a dead letter that cannot be read has an id all the same


async def _count(parts: DeadLetterParts, webhook: str | None, before: int) -> int:
    """How many dead letters have an id below ``before``."""
    total = await _count_from(parts, webhook, 1)
    return total - await _count_from(parts, webhook, before)


async def _count_from(parts: DeadLetterParts, webhook: str | None, letter_id: int) -> int:
    letters, last, left = await parts.letters.page(
        webhook_id=webhook, from_position=letter_id, limit=1
    )
    return left + (1 if letters or last >= letter_id else 0)


async def _replayed_at(
    parts: DeadLetterParts, letters: Sequence[StoredDeadLetter]
) -> list[float | None]:
    """When each was replayed last, in seconds since the epoch; None if it was not."""
    replayed: dict[int, float | None] = {}
    by_webhook = sorted(letters, key=_webhook_id)
    for webhook_id, group in itertools.groupby(by_webhook, key=_webhook_id):
        ids = [kept.position for kept in group]
        replayed.update(zip(ids, await parts.runs.marks(webhook_id, ids), strict=True))
    return [replayed[kept.position] for kept in letters]


def _webhook_id(kept: StoredDeadLetter) -> str:
    return kept.letter.webhook_id


def _filter(
    webhook: str | None, type: str | None, reason: str | None, since: str | None, until: str | None
) -> _Filter:
    if type is not None:
        check_pattern(type, "type")
    return _Filter(
        _checked(webhook), type, reason, time_of("since", since), time_of("until", until)
    )


def _checked(webhook: str | None) -> str | None:
    if webhook is not None and ID.fullmatch(webhook) is None:
        raise InvalidDefinition("webhook", "is not an id of a webhook")
    return webhook


def _shown(kept: StoredDeadLetter, replayed_at: float | None) -> dict[str, Any]:
    letter, event = kept.letter, kept.event
    last = letter.attempts[-1] if letter.attempts else None
    return {
        "id": kept.position,
        "time": rfc3339(kept.time),
        "webhook_id": letter.webhook_id,
        "url": letter.url,
        "reason": letter.reason,
        "event_id": event.id,
        "event_type": event.type,
        "source": event.source,
        "attempts": len(letter.attempts),
        "last_error": last and last.error_message,
        "stream": letter.stream,
        "sequence": letter.seq,
        "run": letter.run,
        "replayed_at": None if replayed_at is None else rfc3339(replayed_at),
    }
