"""``GET /v1/events/{id}``: where an event is, and what became of it."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from event_gateway.api.access.callers import ReadsEvents
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.events import EventAnswer
from event_gateway.api.openapi.described import answers
from event_gateway.api.routes.event_not_found import not_found
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import cursor_of, read_cursor, registered
from event_gateway.broker.connection import Broker
from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.registry import Registry
from event_gateway.broker.rejected import RejectedInput
from event_gateway.core.access.narrowing import is_narrowed, may_read
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import DELIVERIES_READ, STREAMS_READ, WEBHOOKS_READ
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup.finder import Finder, Found, Searched
from event_gateway.lookup.log_state import LogState, LogStates
from event_gateway.lookup.relations import Relations
from event_gateway.lookup.stream_copies import stream_copies
from event_gateway.lookup.webhook_account import WebhookAccount
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.registration.visibility import streams_of, webhook_of, webhooks_of
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.rebuilt_requests import rebuilt_requests
from event_gateway.state.records import Record

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=GuardedRoute)

MAX_WEBHOOKS = 200  # in one answer
MAX_ASKED = 1000  # webhooks whose records are read, beside those on the page
MAX_STREAMS = 100  # named streams that are searched for the event
_NO_WEBHOOKS: dict[str, Any] = {
    "webhooks": [], "matched_count": 0, "total": None, "next": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EventParts:
    """What the routes use. ``matching`` gives the webhooks that an event would reach; ``admit``
    raises InvalidEvent for one that the router sets aside."""

    broker: Broker
    registry: Registry
    event_log: EventLog
    log: LogReader
    dead_letters: DeadLetterLog
    rejected: RejectedInput
    finder: Finder
    states: LogStates
    relations: Relations
    account: WebhookAccount
    matching: Callable[[Received], list[Webhook]]
    builders: RequestBuilders
    enricher: Enricher
    admit: Callable[[Received], None]


Parts = Annotated[EventParts, Depends(provided(EventParts))]
Source = Annotated[
    str | None,
    Query(max_length=4096, description="The event's source: several may have events of this id."),
]
Type = Annotated[
    str | None,
    Query(max_length=4096, description="The event's type, if it is known. It helps to say why the "
          "event is not there, and to find it where the index does not reach."),
]  # fmt: skip
Webhooks = Annotated[
    list[str] | None,
    Query(max_length=MAX_WEBHOOKS, description="Only these webhooks, with the requests that they "
          "were sent."),
]  # fmt: skip


@router.get("/{event_id:path}", responses=answers(EventAnswer))
async def show_event(
    parts: Parts,
    caller: ReadsEvents,
    event_id: str,
    source: Source = None,
    type: Type = None,
    webhook: Webhooks = None,
    body: Annotated[bool, Query(description="With the bodies of the requests.")] = False,
    limit: int = Query(100, ge=1, le=MAX_WEBHOOKS),
    cursor: str | None = None,
) -> Response:
    """An event: as it came in, where in the log, whether it is routed; each webhook with its
    delivery and why that waits, or with the first condition that does not hold; the named streams
    that have it, its causes and effects, and in ``unknown`` what cannot be said.

    Webhooks that match come first. They are shown to a key with the scope deliveries:manage or
    webhooks:manage, streams to one with streams:read.
    """
    may_see = functools.partial(may_read, caller)
    after = read_cursor(cursor, tuple[bool, str])
    visible = _visible(parts, caller, webhook or ())
    records: dict[str, Record] = {}

    async def known() -> Iterable[tuple[str, int]]:
        asked = list(visible.values())[:MAX_ASKED]
        records.update(await parts.account.records_of(
            event_id, source, asked, own=is_narrowed(caller)))  # fmt: skip
        return {(record.stream, record.seq) for record in records.values()}

    found = await parts.finder.find(event_id, source, may_see, event_type=type, known=known)
    set_aside = None
    if isinstance(found, Found):
        set_aside = why_set_aside(parts, found.received)
    else:
        lost = await _lost(parts, found, records, caller)
        if lost is None:
            raise await not_found(
                caller,
                parts.event_log,
                parts.rejected,
                found,
                event_id=event_id,
                source=source,
                event_type=type,
            )
        found = lost
    answer = await _place(parts, caller, found)
    if set_aside is None:
        page, unknown = await _webhooks(parts, caller, found, visible, limit, after)
    else:
        page, unknown = dict(_NO_WEBHOOKS), [{"what": "webhooks", "why": set_aside}]
        answer["routed"] = False
    answer |= page
    answer["unknown"] += unknown
    for row in answer["webhooks"] if webhook else ():
        if row["matched"] and row["status"] is not None and answer["event"] is not None:
            row["requests"] = await _requests(parts, caller, found, row["id"], body=body)
    return Response(msgspec.json.encode(answer), media_type="application/json")


def why_set_aside(parts: EventParts, received: Received) -> str | None:
    """Why the router does not route an event; None if it does, as far as that is known now."""
    if received.stream == LIFECYCLE:  # in which these types are no strangers'
        return None
    try:
        parts.admit(received)
    except InvalidEvent as error:
        return f"the router sets the event aside ({error.reason}): {error.detail}"
    return None


def _visible(parts: EventParts, caller: Principal, names: Sequence[str]) -> dict[str, Webhook]:
    """The webhooks that the caller may see deliveries of: those of these names, or all."""
    if not _sees_webhooks(caller):
        return {}
    if names:
        return {name: webhook_of(caller, parts.registry, name) for name in names}
    visible = webhooks_of(caller, parts.registry)
    return {name: visible[name] for name in registered(visible)}


def _sees_webhooks(caller: Principal) -> bool:
    return caller.allows(DELIVERIES_READ) or caller.allows(WEBHOOKS_READ)


async def _lost(
    parts: EventParts, searched: Searched, records: dict[str, Record], caller: Principal
) -> Found | None:
    """An event that the log does not hold, by its deliveries: from a dead letter, else only its
    identity; None if no delivery is recorded."""
    for record in records.values():
        stored = None
        if record.dead_letter:
            stored = await parts.dead_letters.read(record.dead_letter)
        if stored is None or stored.event.source != record.source or not stored.has_event:
            continue
        received = Received(stored.event, record.stream, record.seq, stored.time)
        if may_read(caller, received):
            return Found(received, [], [], _state(searched, record), True, searched.states)
    return None


def _state(searched: Searched, record: Record) -> LogState:
    known = {state.stream: state for state in searched.states}
    return known.get(record.stream) or searched.states[0]


async def _place(parts: EventParts, caller: Principal, found: Found) -> dict[str, Any]:
    """The event, its place in the log, its streams and relations."""
    received, state = found.received, found.state
    stream, seq = received.stream, received.seq
    message = await parts.log.message(stream, seq)
    held = message is not None and state.first <= seq
    unknown = []
    if not held:
        why = "the log no longer holds the event, which is from a dead letter"
        why += f": {stream} begins at sequence {state.first}"
        unknown.append({"what": "message", "why": why})
    copies: list[Any] = []
    if not caller.allows(STREAMS_READ):
        unknown.append({"what": "streams", "why": f"the caller lacks the scope {STREAMS_READ}"})
    elif message is not None and held:
        streams = list(streams_of(caller, parts.registry).values())
        if len(streams) > MAX_STREAMS:
            why = f"only {MAX_STREAMS} of {len(streams)} were searched"
            unknown.append({"what": "streams", "why": why})
        copies = await stream_copies(
            parts.broker, streams[:MAX_STREAMS], stream, seq, message.subject
        )
    # A lifecycle event was searched in its own log; what it belongs to is in the others.
    states = [each for each in found.searched if each.stream != LIFECYCLE]
    states = states or await parts.states.of()
    may_see = functools.partial(may_read, caller)
    causes, ends_at = await parts.relations.causes(received, states, may_see)
    effects, more = await parts.relations.effects(received, states, may_see)
    if ends_at is not None:
        unknown.append({"what": "causes", "why": f"the log has no event {ends_at[:200]}"})
    if more:
        unknown.append({"what": "effects", "why": "there may be more than these"})
    for earlier in states:
        if earlier.stream == stream and earlier.indexed > earlier.first:
            why = f"the index of events does not reach before sequence {earlier.indexed} yet"
            if earlier.rereading:
                why = "Redis may have lost entries of the index of events: the log is being reread"
            unknown.append({"what": "relations", "why": why})
    return {
        "event": msgspec.Raw(to_structured(received.event)),
        "source": received.event.source,
        "stream": stream,
        "sequence": seq,
        "received_at": rfc3339(received.time) if held else None,
        "origin": received.origin if held else None,
        "message": None if message is None or not held else {
            "subject": message.subject,
            "headers": {
                name: value for name, value in message.headers.items()
                if not name.startswith(("Nats-", "Eg-"))
            },
            "bytes": len(message.data),
        },
        "routed": seq <= state.settled or found.indexed,
        "repeats": [_at(each) for each in found.repeats],
        "others": [_at(each) for each in found.others],
        "streams": msgspec.to_builtins(copies),
        "causes": msgspec.to_builtins(causes),
        "effects": msgspec.to_builtins(effects),
        "unknown": unknown,
    }  # fmt: skip


async def _webhooks(
    parts: EventParts,
    caller: Principal,
    found: Found,
    visible: dict[str, Webhook],
    limit: int,
    after: tuple[bool, str] | None,
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A page of the webhooks: first those that match the event, then the others, each by id."""
    if not _sees_webhooks(caller):
        why = f"the caller lacks the scope {DELIVERIES_READ}"
        return dict(_NO_WEBHOOKS), [{"what": "webhooks", "why": why}]
    received = found.received
    # Of very many webhooks only those are asked for a delivery that match now, or are on the page.
    matching = {webhook.id for webhook in parts.matching(received)} & visible.keys()
    asked = list(visible) if len(visible) <= MAX_ASKED else sorted(matching)[:MAX_ASKED]
    own = is_narrowed(caller)
    records = await parts.account.records(received, [visible[name] for name in asked], own=own)
    matching |= records.keys()
    ordered = sorted((name not in matching, name) for name in visible)
    left = [key for key in ordered if after is None or key > after]
    page = left[:limit]
    webhooks = [visible[name] for _, name in page]
    if len(asked) < len(visible):
        records = await parts.account.records(received, webhooks, own=own)
    rows = await parts.account.account(found, webhooks, records)
    shown = {
        "webhooks": rows,
        "matched_count": len(matching),
        "total": len(visible),
        "next": cursor_of(page[-1]) if len(left) > limit else None,
    }
    return shown, []


async def _requests(
    parts: EventParts, caller: Principal, found: Found, name: str, *, body: bool
) -> list[dict[str, Any]]:
    webhook = webhook_of(caller, parts.registry, name)
    records = await parts.account.records(found.received, [webhook], own=is_narrowed(caller))
    if name not in records:
        return []
    await parts.enricher.preview(found.received, alone=is_narrowed(caller))
    return await rebuilt_requests(
        parts.builders, webhook, found.received, records[name].attempts, body=body
    )


def _at(received: Received) -> dict[str, Any]:
    return {
        "source": received.event.source,
        "stream": received.stream,
        "sequence": received.seq,
        "received_at": rfc3339(received.time),
    }
