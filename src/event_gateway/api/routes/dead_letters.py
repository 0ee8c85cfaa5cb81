"""``/v1/dead-letters``: what could not be delivered, to look at, deliver after all, or delete."""

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
from event_gateway.broker.dead_letters import DeadLetterLog, Kept
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

SCAN = 5000  # letters that one request looks at; a page may so hold fewer than there are
READ = 500  # of them at a time
MAX_BYTES = 32 * 1024 * 1024  # of events in letters that one answer tells of
MAX_IDS = 1000


Place = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


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

    def takes(self, kept: Kept) -> bool:
        """Whether a letter is one of those that are asked for."""
        return (
            (self.type is None or matches(self.type, kept.event.type))
            and (self.reason is None or kept.letter.reason == self.reason)
            and (self.since is None or kept.time >= self.since)
            and (self.until is None or kept.time < self.until)
        )


class _Wanted(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    ids: list[Place] | None = None
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
    reason: str | None = Query(None, description="Why it is one: ServerError, Expired…"),
    since: str | None = Query(None, description="RFC 3339: dead since then."),
    until: str | None = Query(None, description="RFC 3339: dead before then."),
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
) -> dict[str, Any]:
    """Dead letters, the oldest first. A page may hold fewer than ``limit`` and have a next one."""
    wanted = _filter(webhook, type, reason, since, until)
    place = read_cursor(cursor, Place)
    found, following = await _look(parts, wanted, place, limit)
    marks = await _marks(parts, found)
    items = [_shown(one, mark) for one, mark in zip(found, marks, strict=True)]
    return {"items": items, "next": cursor_of(following)}


@router.get("/{place}")
async def show_dead_letter(parts: Parts, place: int) -> Response:
    """One dead letter: its event, all attempts, and the webhook as it was."""
    kept = await parts.letters.read(place)
    if kept is None:
        raise Problem(404, f"there is no dead letter {place}")
    (mark,) = await _marks(parts, [kept])
    shown = _shown(kept, mark) | {
        "attempts": kept.letter.attempts,
        "webhook": kept.letter.webhook,
        # As it is: there are data that no value of Python stands for.
        "event": msgspec.Raw(to_structured(kept.event)),
    }
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.post("/replay", status_code=202)
async def replay_dead_letters(
    parts: Parts, response: Response, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Delivers dead letters after all: a replay, whose progress is at ``/v1/replays``.

    ``{"ids": [1, 2]}``, or those of a ``webhook``, of ``types`` (patterns), with a ``reason``,
    ``since`` and ``until`` some time; ``{"all": true}`` for all there are. Those that were replayed
    before are left out, but for ``ids``. ``dry_run`` only counts.
    """
    wanted = body_as(_Wanted, body)
    filters = (wanted.webhook, wanted.reason, wanted.since, wanted.until, wanted.types or None)
    named = any(one is not None for one in filters)
    if sum((wanted.ids is not None, named, wanted.all)) != 1:
        raise InvalidDefinition("", "name ids, or a filter (webhook, types, reason, since, until), "
                                    'or {"all": true}')  # fmt: skip
    if wanted.ids is not None and not 1 <= len(wanted.ids) <= MAX_IDS:
        raise InvalidDefinition("ids", f"must be 1 to {MAX_IDS}")
    places = tuple(dict.fromkeys(wanted.ids or ()))
    replay = Replay(
        id=new_id(),
        webhook=_checked(wanted.webhook),
        types=checked_types(wanted.types),
        reason=wanted.reason,
        since=time_of("since", wanted.since),
        until=time_of("until", wanted.until),
        until_seq=len(places) or await parts.letters.last_place(),
        places=places,
        dry_run=wanted.dry_run,
        created_at=time.time(),
    )
    return await begin(parts.replays, replay, response)


@router.delete("/{place}", status_code=204)
async def delete_dead_letter(parts: Parts, place: int) -> None:
    """Deletes one dead letter. 409 where it is being delivered again, and may still be needed."""
    kept = await parts.letters.read(place)
    if kept is not None and await _needed(parts, kept):
        raise Problem(409, f"the dead letter {place} is being delivered again")
    if not await parts.letters.delete(place):
        raise Problem(404, f"there is no dead letter {place}")


@router.delete("")
async def purge_dead_letters(
    parts: Parts,
    webhook: str | None = None,
    type: str | None = Query(None, description="A pattern of the event's type."),
    reason: str | None = None,
    since: str | None = None,
    until: str | None = Query(None, description="RFC 3339: only what was dead before then."),
    all: bool = Query(False, description="All there are, where nothing else is said."),
    dry_run: bool = Query(False, description="Only count."),
    cursor: str | None = None,
) -> dict[str, Any]:
    """Deletes dead letters. ``next`` is there where more are to be looked at: ask again with it.

    409 where some of the webhook's are being delivered again: those may still be needed.
    """
    wanted = _filter(webhook, type, reason, since, until)
    if all != (wanted == _Filter(None, None, None, None, None)):
        raise InvalidDefinition(
            "all", "name a webhook, a type, a reason or a time, or else all=true"
        )
    if not dry_run and (lent := await parts.runs.lent(webhook)) is not None:
        raise Problem(409, f"dead letters are being delivered again, {lent} among them: wait until "
                           "they have arrived, or cancel these deliveries")  # fmt: skip
    last = await parts.letters.last_place()
    if type is None and reason is None and since is None:
        before = last + 1 if wanted.until is None else await _first(parts, wanted.until, last)
        count = await _count(parts, webhook, before)
        if not dry_run:
            count = await parts.letters.purge(webhook_id=webhook, before=before)
        return {"purged": count, "dry_run": dry_run, "next": None}
    found, following = await _look(parts, wanted, read_cursor(cursor, Place), SCAN)
    count = len(found)
    if not dry_run:
        count = await parts.letters.delete_all([one.place for one in found])
    return {"purged": count, "dry_run": dry_run, "next": cursor_of(following)}


async def _look(
    parts: DeadLetterParts, wanted: _Filter, place: int | None, limit: int
) -> tuple[list[Kept], int | None]:
    """At most ``limit`` letters from a place on, and the place to go on at, if there are more."""
    found: list[Kept] = []
    held = 0
    looked, since = 0, wanted.since if place is None else None
    at, behind = place or 1, 1
    while behind and looked < SCAN:
        size = min(READ, limit) if wanted.type is None and wanted.reason is None else READ
        letters, last, behind = await parts.letters.page(
            webhook_id=wanted.webhook, from_place=at, since=since, limit=size
        )
        since = None
        at = last + 1
        looked += len(letters)
        for one in letters:
            if wanted.until is not None and one.time >= wanted.until:
                return found, None
            if wanted.takes(one):
                if len(found) == limit or held > MAX_BYTES:
                    return found, one.place
                found.append(one)
                held += len(one.event.data)
    return found, at if behind else None


async def _needed(parts: DeadLetterParts, kept: Kept) -> bool:
    """Whether a delivery is under way that repeats this letter."""
    event = kept.event
    record = await parts.ledger.read(kept.letter.webhook_id, event.id, event.source)
    return record is not None and record.letter == kept.place and record.status not in FINAL


async def _first(parts: DeadLetterParts, at: float, last: int) -> int:
    """The place of the first letter since some time."""
    _, place, _ = await parts.letters.page(webhook_id=None, since=at, limit=1)
    return place or last + 1  # a letter that cannot be read has a place all the same


async def _count(parts: DeadLetterParts, webhook: str | None, before: int) -> int:
    total = await _from(parts, webhook, 1)
    return total - await _from(parts, webhook, before)


async def _from(parts: DeadLetterParts, webhook: str | None, place: int) -> int:
    letters, last, behind = await parts.letters.page(webhook_id=webhook, from_place=place, limit=1)
    return behind + (1 if letters or last >= place else 0)


async def _marks(parts: DeadLetterParts, letters: Sequence[Kept]) -> list[float | None]:
    """When each was repeated last."""
    marks: dict[int, float | None] = {}
    of = sorted(letters, key=lambda one: one.letter.webhook_id)
    for webhook_id, group in itertools.groupby(of, key=lambda one: one.letter.webhook_id):
        places = [one.place for one in group]
        found = await parts.runs.marks(webhook_id, places)
        marks.update(zip(places, found, strict=True))
    return [marks[one.place] for one in letters]


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
        raise InvalidDefinition("webhook", "is no id of a webhook")
    return webhook


def _shown(kept: Kept, mark: float | None) -> dict[str, Any]:
    letter, event = kept.letter, kept.event
    last = letter.attempts[-1] if letter.attempts else None
    return {
        "id": kept.place,
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
        "replayed_at": None if mark is None else rfc3339(mark),
    }
