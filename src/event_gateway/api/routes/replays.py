"""``/v1/replays``: delivers past events of the log to a webhook again."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries, ReadsDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.deliveries import ReplayAnswer
from event_gateway.api.openapi.described import LOCATION, SchemaOf, answers
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, cursor_of, page_members, read_cursor, time_of
from event_gateway.api.server.problems import Problem, unavailable
from event_gateway.audit.trail import Call
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.webhook.replay import ENDED, Progress, Replay, ReplayState
from event_gateway.core.webhook.validation import MAX_PATTERNS
from event_gateway.registration.visibility import webhook_of, webhook_or_none
from event_gateway.replay.replayer import Replayer
from event_gateway.state.replays import MAX_REPLAYS, Replays, new_id

router = APIRouter(prefix="/v1/replays", tags=["replays"], route_class=GuardedRoute)

MAX_WAIT = 1.5  # seconds for which the answer waits, as a small replay ends within them


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayParts:
    """What the routes use."""

    registry: Registry
    events: EventLog
    replays: Replays
    replayer: Replayer


Parts = Annotated[ReplayParts, Depends(provided(ReplayParts))]


class _ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    webhook: str
    since: str | None = None
    until: str | None = None
    from_seq: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)] | None = None
    until_seq: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)] | None = None
    stream: str = EVENTS
    types: list[str] = []
    dry_run: bool = False


NewReplay = Annotated[dict[str, Any], Body(), SchemaOf(_ReplayRequest)]


@router.post("", status_code=202, responses=answers(ReplayAnswer, 202, 404, 409, headers=LOCATION))
async def create_replay(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("replays.create", "replay")],
    once: Once,
    response: Response,
    body: NewReplay,
) -> dict[str, Any]:
    """Starts a replay: delivers the events in the log that match the webhook as it is now.

    ``{"webhook": "…", "since": "RFC 3339", "until": "…", "types": ["a.>"], "dry_run": true}``.
    Instead of times: ``from_seq`` and ``until_seq`` (included), positions in ``stream``.
    ``dry_run`` only counts.
    """
    given = body_as(_ReplayRequest, body)
    if given.since is None and given.from_seq is None:
        raise InvalidDefinition("since", "must be given, or from_seq: where the replay begins")
    if given.stream not in (EVENTS, LIFECYCLE, *(each.name for each in parts.events.external)):
        raise InvalidDefinition(
            "stream", f"{given.stream!r} is not a stream that the gateway reads events from"
        )
    webhook = webhook_of(caller, parts.registry, given.webhook)
    last = await parts.events.last_seq(given.stream)
    replay = Replay(
        id=new_id(),
        webhook=webhook.id,
        stream=given.stream,
        types=checked_types(given.types),
        from_seq=min(max(1, given.from_seq or 1), last + 1),
        until_seq=last if given.until_seq is None else min(last, given.until_seq),
        since=time_of("since", given.since),
        until=time_of("until", given.until),
        dry_run=given.dry_run,
        created_at=time.time(),
    )
    return await begin(parts, caller, replay, response, call)


@router.get("", responses=answers(Page[ReplayAnswer]))
async def list_replays(
    parts: Parts,
    caller: ReadsDeliveries,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """All replays, also those of dead letters, the newest first."""
    after = read_cursor(cursor, str)
    if not is_narrowed(caller):
        page, more, total = await parts.replays.page(after, limit)
    else:
        every, _, _ = await parts.replays.page(None, MAX_REPLAYS)
        own = [stored for stored in every if _may_see(parts, caller, stored[0])]
        left = [stored for stored in own if after is None or stored[0].id < after]
        page, more = left[:limit], left[limit - 1][0].id if len(left) > limit else None
        total = len(own)
    items = [_shown(caller, replay, progress) for replay, progress in page]
    return page_members(items, cursor_of(more), total)


@router.get("/{replay_id}", responses=answers(ReplayAnswer))
async def show_replay(parts: Parts, caller: ReadsDeliveries, replay_id: str) -> dict[str, Any]:
    """A replay and its progress."""
    return await _show(parts, caller, replay_id)


@router.post("/{replay_id}/pause", responses=answers(ReplayAnswer, 200, 409))
async def pause_replay(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("replays.pause", "replay/{replay_id}")],
    replay_id: str,
) -> dict[str, Any]:
    """Pauses a replay: it queues no more deliveries. Those that it has queued are attempted."""
    return await _move(parts, caller, replay_id, ReplayState.PAUSED)


@router.post("/{replay_id}/resume", responses=answers(ReplayAnswer, 200, 409))
async def resume_replay(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("replays.resume", "replay/{replay_id}")],
    replay_id: str,
) -> dict[str, Any]:
    """Resumes a paused replay where it stopped."""
    return await _move(parts, caller, replay_id, ReplayState.RUNNING)


@router.post("/{replay_id}/cancel", responses=answers(ReplayAnswer, 200, 409))
async def cancel_replay(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("replays.cancel", "replay/{replay_id}")],
    replay_id: str,
) -> dict[str, Any]:
    """Cancels a replay. Deliveries that it has queued are attempted all the same."""
    return await _move(parts, caller, replay_id, ReplayState.CANCELLED)


def checked_types(types: list[str]) -> tuple[str, ...]:
    """The patterns, checked. Raises InvalidDefinition."""
    if len(types) > MAX_PATTERNS:
        raise InvalidDefinition("types", f"at most {MAX_PATTERNS} patterns")
    for position, pattern in enumerate(types):
        check_pattern(pattern, f"types[{position}]")
    return tuple(types)


async def begin(
    parts: ReplayParts, caller: Principal, replay: Replay, response: Response, call: Call
) -> dict[str, Any]:
    """Starts a replay, which ``call`` records; returns it with its progress after
    :data:`MAX_WAIT`, or once it has ended.

    Raises a Problem: 409 if too many replays are running, 503 if Redis has lost the replay.
    """
    call.about(resource_name("replay", replay.id), after=_definition(replay))
    if not await parts.replays.add(replay):
        raise Problem(409, f"{MAX_REPLAYS} replays have not ended yet")
    parts.replayer.wake()
    response.headers["Location"] = f"/v1/replays/{replay.id}"
    deadline = time.monotonic() + MAX_WAIT
    while True:
        stored = await parts.replays.read(replay.id)
        if stored is None:
            raise unavailable("Redis")  # it has lost the replay
        if stored[1].state in ENDED or time.monotonic() > deadline:
            return _shown(caller, *stored)
        await asyncio.sleep(0.02)


async def _move(
    parts: ReplayParts, caller: Principal, replay_id: str, to: ReplayState
) -> dict[str, Any]:
    await _read(parts, caller, replay_id)
    state = await parts.replays.change_state(replay_id, to)
    if state is None:
        raise Problem(404, f"there is no replay {replay_id}")
    if state is not to:
        raise Problem(409, f"the replay {replay_id} has ended: {state}")
    parts.replayer.wake()
    return await _show(parts, caller, replay_id)


async def _show(parts: ReplayParts, caller: Principal, replay_id: str) -> dict[str, Any]:
    return _shown(caller, *await _read(parts, caller, replay_id))


async def _read(parts: ReplayParts, caller: Principal, replay_id: str) -> tuple[Replay, Progress]:
    """A replay. Raises a Problem if there is none that the caller may see."""
    stored = await parts.replays.read(replay_id)
    if stored is None or not _may_see(parts, caller, stored[0]):
        raise Problem(404, f"there is no replay {replay_id}")
    return stored


def _may_see(parts: ReplayParts, caller: Principal, replay: Replay) -> bool:
    """Whether a caller may see a replay: that of a webhook which it may see, since the registration
    of this webhook, as a former one of this id may have had another owner."""
    if not is_narrowed(caller):
        return True
    webhook = webhook_or_none(caller, parts.registry, replay.webhook or "")
    return webhook is not None and replay.created_at >= webhook.created_at


def _shown(caller: Principal, replay: Replay, progress: Progress) -> dict[str, Any]:
    last = len(replay.positions) or replay.until_seq
    done = 0.0
    if progress.state is ReplayState.DONE:
        done = 1.0
    elif progress.first:
        done = (progress.position - progress.first) / max(1, last + 1 - progress.first)
    return {
        **_definition(replay),
        "state": progress.state.value,
        "progress": round(min(1.0, max(0.0, done)), 4),
        "position": progress.position or None,
        # It counts the events of all namespaces.
        "looked_at": None if is_narrowed(caller) else progress.looked,
        "matched": progress.matched,
        "queued": progress.queued,
        "skipped": progress.skipped,
        "error": progress.error,
        "updated_at": rfc3339_or_none(progress.updated_at),
        "ended_at": rfc3339_or_none(progress.ended_at),
    }


def _definition(replay: Replay) -> dict[str, Any]:
    return {
        "id": replay.id,
        "of": "log" if replay.stream else "dead_letters",
        "webhook": replay.webhook,
        "stream": replay.stream,
        "types": list(replay.types),
        "reason": replay.reason,
        "since": rfc3339_or_none(replay.since),
        "until": rfc3339_or_none(replay.until),
        "from_seq": replay.from_seq,
        "until_seq": replay.until_seq,
        "dry_run": replay.dry_run,
        "created_at": rfc3339(replay.created_at),
    }
