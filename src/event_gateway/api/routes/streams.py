"""``/v1/streams``: named streams, which store events for live subscribers."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.streams import (
    ChangedStream,
    StreamAnswer,
    StreamMessages,
    StreamOutline,
    WholeStream,
)
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.subscriptions import shown as shown_subscription
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, set_tag
from event_gateway.api.server.definitions import Manager, present, writable
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import (
    NOT_TOLD,
    Limit,
    SeqCursor,
    Total,
    at_most,
    cursor_of,
    is_whole,
    page_members,
    page_of,
    read_cursor,
    registered,
)
from event_gateway.api.server.patch import merge_patch
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.search import Searched
from event_gateway.api.server.warnings import with_warnings
from event_gateway.audit.trail import Call
from event_gateway.broker.connection import Broker
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.named_streams import (
    UnknownStream,
    bounds,
    stream_contents,
    stream_name,
)
from event_gateway.broker.registry import Registry
from event_gateway.broker.stream_contents import contents_of
from event_gateway.broker.stream_page import read_page
from event_gateway.broker.stream_rates import MessageRates
from event_gateway.config.request_bodies import StreamBody, stream_from_json
from event_gateway.config.response_bodies import stream_to_json
from event_gateway.core.access.narrowing import is_narrowed, may_read, may_touch
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import NotRegistered
from event_gateway.core.streams.capture_warnings import capture_warnings
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.registration.streams import StreamRegistration
from event_gateway.registration.visibility import sees_stream
from event_gateway.streaming.batches import MessageBatches
from event_gateway.streaming.start_position import position_of
from event_gateway.streaming.subscription_directory import SubscriptionDirectory

router = APIRouter(prefix="/v1/streams", tags=["streams"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

MAX_SHOWN = 100  # subscribers in the answer about their stream


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamParts:
    """What the routes use."""

    registry: Registry
    registration: StreamRegistration
    events: EventLog
    broker: Broker
    rates: MessageRates
    directory: SubscriptionDirectory
    batches: MessageBatches


Parts = Annotated[StreamParts, Depends(provided(StreamParts))]
NewStream = Annotated[dict[str, Any], Body(), SchemaOf(StreamBody)]
StreamPatch = Annotated[dict[str, Any], Body(), SchemaOf(StreamBody, patch=True)]


@router.get("", responses=answers(Page[StreamAnswer | StreamOutline]))
async def list_streams(
    parts: Parts,
    caller: ReadsStreams,
    search: Searched,
    rates: bool = False,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """All streams, by name; for a confined caller those that it may read, without their state.

    ``search``: in the name and the subjects. ``rates``: each item with a state has its ``rate``
    too, in messages a second.
    """
    names = [
        name for name in registered(parts.registry.streams)
        if sees_stream(caller, stream := parts.registry.streams[name])
        and search.fits(name, *may_touch(caller, stream.subjects))
    ]  # fmt: skip
    page, more = page_of(names, limit, cursor)
    if caller.confined:
        items = [_outline(caller, parts.registry.streams[name]) for name in page]
    else:
        items = await _shown(parts, page, rates=rates)
    return page_members(items, more, len(names))


@router.post("", status_code=201, responses=answers(ChangedStream, 201, 409, headers=CREATED))
async def create_stream(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.create", "stream/{name}")],
    once: Once,
    response: Response,
    body: NewStream,
    managed_by: Manager = "api",
) -> dict[str, Any]:
    """Creates a stream. It starts with the events that the log already holds for it."""
    definition = msgspec.structs.replace(stream_from_json(body), managed_by=managed_by)
    call.about(resource_name("stream", definition.name))
    created = await parts.registration.create(definition)
    call.about(after=stream_to_json(created))
    response.headers["Location"] = f"/v1/streams/{created.name}"
    return _changed(parts, created, response)


@router.get("/{name}", responses=answers(WholeStream | StreamOutline, 200, 409, headers=ETAG))
async def show_stream(
    parts: Parts, caller: ReadsStreams, response: Response, name: str
) -> dict[str, Any]:
    """One stream, what it holds, its ``rate`` in events a second over the last minute, and its
    first hundred subscribers; for a confined caller nothing but its name and subjects."""
    definition = present(_stream_of(parts, caller, name))
    if caller.confined:
        return _outline(caller, definition)
    set_tag(response, stream_to_json(definition))
    (subscribers, count, complete), shown = await asyncio.gather(
        parts.directory.subscribers(stream=name, limit=MAX_SHOWN), _shown(parts, [name], rates=True)
    )
    if not shown:
        raise Problem(404, f"there is no stream {name}")  # it has just been deleted
    last = shown[0]["state"]["last_seq"]
    items = [
        shown_subscription(subscription) | {"lag": max(0, last - subscription.position)}
        for subscription in subscribers
    ]
    stream: dict[str, Any] = shown[0]
    return stream | {
        "subscribers": {"count": count, "complete": complete, "items": items},
    }


@router.get("/{name}/messages", responses=answers(StreamMessages, 200, 409))
async def list_stream_messages(
    parts: Parts,
    caller: ReadsStreams,
    name: str,
    from_seq: int = Query(1, ge=0, le=MAX_SEQ, description="The first sequence."),
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The events that a stream holds, in order, as subscribers receive them.

    Messages that are not events are left out: a page may hold fewer than ``limit`` items and have a
    next page. ``missed`` names sequences from ``from_seq`` on that the stream does not have any
    more, as subscribers are told. A narrowed caller gets the events of its namespaces and types.
    """
    present(_stream_of(parts, caller, name))
    start = read_cursor(cursor, SeqCursor) or from_seq
    raw = await read_page(parts.broker, stream_name(name), from_seq=start, limit=limit)
    messages = await parts.batches.read(stream_name(name), raw.messages)
    narrowed = is_narrowed(caller)
    items = [
        msgspec.Raw(
            b'{"seq":%d,"time":"%b","event":%b}'
            % (
                message.seq,
                rfc3339(message.received.time).encode(),
                (message.alone() if narrowed else message).json(),
            )
        )
        for message in messages
        if message.received is not None and may_read(caller, message.received)
    ]
    following = cursor_of(raw.messages[-1].seq + 1) if raw.remaining and raw.messages else None
    total: Total | int = len(items)
    if not is_whole(cursor, following):
        total = NOT_TOLD if narrowed else await _messages_from(parts.broker, name, from_seq)
    answer = page_members(items, following, total)
    if start > 1 and not (raw.messages and raw.messages[0].seq == start):
        answer |= await _missed(parts.broker, name, start)
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _messages_from(broker: Broker, name: str, seq: int) -> Total:
    """How many messages a stream has from a sequence on."""
    contents = await stream_contents(broker, name)
    return at_most(min(contents.messages, max(0, contents.last_seq + 1 - seq)))


async def _missed(broker: Broker, name: str, start: int) -> dict[str, Any]:
    """The member ``missed`` of a page that should begin at ``start``; nothing if it has none."""
    try:
        _, gap = position_of(await bounds(broker, stream_name(name)), start)
    except UnknownStream:
        return {}  # it was deleted in between
    return {} if gap is None else {"missed": gap.members()}


@router.patch("/{name}", responses=answers(ChangedStream, 200, 409, headers=ETAG))
async def change_stream(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.change", "stream/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: StreamPatch,
    force: bool = Query(False, description="Even if that drops events."),
    managed_by: Manager | None = None,
) -> dict[str, Any]:
    """Changes the fields that the body names (RFC 7396; null removes a limit), keeps the others."""
    former = writable(parts.registry.stream(name))
    condition.check(stream_to_json(former))
    if body.get("name", name) != name:
        raise Problem(422, "a stream cannot be renamed")
    definition = msgspec.structs.replace(
        stream_from_json(_merged(former, body)), managed_by=managed_by or former.managed_by
    )
    changed = await parts.registration.change(definition, force=force)
    call.about(before=stream_to_json(former), after=stream_to_json(changed) | {"force": force})
    return _changed(parts, changed, response)


@router.delete("/{name}", status_code=204, responses=answers(None, 204, 409))
async def delete_stream(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.delete", "stream/{name}")],
    condition: Conditional,
    name: str,
) -> None:
    """Deletes a stream and its events, and ends its subscriptions."""
    if not parts.registry.is_unreadable("stream", name):
        former = stream_to_json(writable(parts.registry.stream(name)))
        condition.check(former)
        call.about(before=former)
    await parts.registration.delete(name)


def _stream_of(parts: StreamParts, caller: Principal, name: str) -> StreamDefinition:
    """The stream of a name. Raises NotRegistered, also if the caller may not read it."""
    definition = parts.registry.stream(name)
    if not sees_stream(caller, definition):
        raise NotRegistered(f"there is no stream {name}")
    return definition


def _outline(caller: Principal, definition: StreamDefinition) -> dict[str, Any]:
    """What a confined caller sees of a stream: what it holds tells of the events of others."""
    return {"name": definition.name, "subjects": list(may_touch(caller, definition.subjects))}


def _changed(
    parts: StreamParts, definition: StreamDefinition, response: Response
) -> dict[str, Any]:
    """The answer to a change: the stream, and what will not work as its owner may expect."""
    set_tag(response, stream_to_json(definition))
    captured = parts.events.all_captured
    warnings = capture_warnings(definition.subjects, captured, "subjects")
    return with_warnings(stream_to_json(definition), warnings)


async def _shown(
    parts: StreamParts, names: list[str], *, rates: bool = False
) -> list[dict[str, Any]]:
    """What the streams are and hold. ``rates``: and what they receive."""
    holding = await contents_of(parts.broker, names)

    async def rate(name: str, last: int) -> dict[str, float]:
        return {"rate": await parts.rates.rate(name, last)} if rates else {}

    asked = zip(names, holding, strict=True)
    added = await asyncio.gather(*(rate(name, content.last_seq) for name, content in asked))
    return [
        stream_to_json(parts.registry.streams[name])
        | more
        | {
            "state": {
                "messages": content.messages,
                "bytes": content.bytes,
                "first_seq": content.first_seq,
                "last_seq": content.last_seq,
                "first_time": rfc3339_or_none(content.first_time),
            }
        }
        for name, content, more in zip(names, holding, added, strict=True)
        if name in parts.registry.streams
    ]


def _merged(former: StreamDefinition, patch: dict[str, Any]) -> dict[str, Any]:
    """The body of the whole stream. What the patch removes gets its default."""
    whole = merge_patch(stream_to_json(former), patch)
    return {key: value for key, value in whole.items() if value is not None}
