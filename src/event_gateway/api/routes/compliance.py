"""``/v1/streams/{name}/chain`` and beside it: what proves a compliance stream, and legal holds."""

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path, Response
from fastapi.responses import StreamingResponse

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsWholeStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.streams import (
    AnchorAnswer,
    ChainAnswer,
    HoldAnswer,
    Holds,
    OpenedEvent,
    Redaction,
    StampAnswer,
    Stamps,
)
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.definitions import present
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import (
    NOT_TOLD,
    Limit,
    SeqCursor,
    cursor_of,
    is_whole,
    page_members,
    read_cursor,
)
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.append_only import wrong_settings
from event_gateway.broker.chain_log import ChainLog, Overtaken
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import UnknownStream, bounds, stream_name
from event_gateway.broker.registry import Registry
from event_gateway.broker.stored_messages import StreamGone
from event_gateway.broker.stream_page import read_page
from event_gateway.compliance.chains import Chains
from event_gateway.compliance.export import export
from event_gateway.compliance.sealing import DataSealing, redacted
from event_gateway.config.response_bodies import hold_to_json
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.compliance.anchor import Anchor, Stamp
from event_gateway.core.compliance.export import decode_entry
from event_gateway.core.errors import Conflict, InvalidDefinition, InvalidEvent, Unknown
from event_gateway.core.streams.definition import Hold, StreamDefinition
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.registration.streams import StreamRegistration

router = APIRouter(prefix="/v1/streams/{name}", tags=["compliance"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

NDJSON = "application/x-ndjson"
MAX_STAMP = 64 * 1024  # bytes
MAX_STAMPS = 16  # of an anchor
TRIES = 5  # to append a stamp, while others append to the chain


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceParts:
    """What the routes use."""

    registry: Registry
    registration: StreamRegistration
    broker: Broker
    chains: Chains
    sealing: DataSealing


Parts = Annotated[ComplianceParts, Depends(provided(ComplianceParts))]


class _NewHold(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class _NewRedaction(msgspec.Struct, forbid_unknown_fields=True):
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _NewStamp(msgspec.Struct, forbid_unknown_fields=True):
    kind: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,32}$")]
    value: Annotated[str, msgspec.Meta(min_length=4, max_length=MAX_STAMP * 4 // 3 + 4)]


Sequence = Annotated[int, Path(ge=1, le=MAX_SEQ, description="The sequence of the anchor.")]
NewHold = Annotated[dict[str, Any], Body(), SchemaOf(_NewHold)]
NewRedaction = Annotated[dict[str, Any], Body(), SchemaOf(_NewRedaction)]
NewStamp = Annotated[dict[str, Any], Body(), SchemaOf(_NewStamp)]


@router.get("/chain", responses=answers(ChainAnswer, 200, 404, 409))
async def show_chain(parts: Parts, caller: ReadsWholeStreams, name: str) -> dict[str, Any]:
    """How far the hash chain of a compliance stream is, its last anchor, and whether the stream can
    only grow: the gateway tries what its own user may do, without changing anything."""
    definition = _compliant(parts, name)
    chain = ChainLog(parts.broker, name)
    try:
        last_seq = (await bounds(parts.broker, stream_name(name))).last
    except UnknownStream:
        raise Unknown(f"there is no stream {name}") from None
    record, anchor = await chain.last_record(), await chain.last_anchor()
    covered = 0 if record is None else record.last
    state = parts.chains.state(name)
    allowed = await parts.chains.allowed_changes(name)
    settings = await wrong_settings(parts.broker, definition)
    return {
        "stream": name,
        "last_seq": last_seq,
        "chained_to": covered,
        "lag": max(0, last_seq - covered),
        "link": None if record is None else record.link,
        "problem": None if state is None else state.problem,
        "anchor": None if anchor is None else anchor.shown(),
        "public_key": parts.chains.key.public,
        "append_only": {
            "holds": not allowed and not settings, "allowed": allowed, "settings": settings,
        },
    }  # fmt: skip


@router.get("/anchors", responses=answers(Page[AnchorAnswer], 200, 404, 409))
async def list_anchors(
    parts: Parts,
    caller: ReadsWholeStreams,
    name: str,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The anchors of a stream's chain, the oldest first. Keep them where nobody who can write to
    NATS can change them: they show later that the chain was not written anew."""
    first = read_cursor(cursor, SeqCursor) or 1
    _compliant(parts, name)
    chain = ChainLog(parts.broker, name)
    entries, following = await chain.page("anchor", first, limit)
    items = [entry.shown() for entry in entries if isinstance(entry, Anchor)]
    after = None if following is None else cursor_of(following)
    return page_members(items, after, len(items) if is_whole(cursor, after) else NOT_TOLD)


@router.post(
    "/anchors/{sequence}/stamps", status_code=201, responses=answers(StampAnswer, 201, 404, 409)
)
async def stamp_anchor(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.stamp", "stream/{name}")],
    name: str,
    sequence: Sequence,
    body: NewStamp,
) -> dict[str, Any]:
    """Stores what somebody outside confirms of an anchor, such as a time stamp of RFC 3161 over its
    digest, with the chain. The gateway does not read it; exports contain it."""
    _compliant(parts, name)
    given = body_as(_NewStamp, body)
    try:
        value = base64.b64decode(given.value, validate=True)
    except binascii.Error:
        raise InvalidDefinition("value", "must be base64") from None
    chain = ChainLog(parts.broker, name)
    if not await chain.has_anchor(sequence):
        raise Unknown(f"the stream {name} has no anchor at {sequence}")
    stamp = Stamp(sequence, given.kind, value)
    kind = f"stamp-{sequence}"
    known, _ = await chain.page(kind, 1, MAX_STAMPS)
    if len(known) >= MAX_STAMPS:
        raise Conflict(f"the anchor has {MAX_STAMPS} stamps already")
    for _ in range(TRIES):
        try:
            await chain.append(kind, stamp, await chain.last_seq())
            break
        except Overtaken:
            continue
    else:
        raise Problem(503, "the chain is being written", {"Retry-After": "1"})
    call.about(after={"sequence": sequence, "kind": given.kind})
    return _stamp_shown(stamp, time.time())


@router.get("/anchors/{sequence}/stamps", responses=answers(Stamps, 200, 404, 409))
async def list_stamps(
    parts: Parts, caller: ReadsWholeStreams, name: str, sequence: Sequence
) -> dict[str, Any]:
    """The stamps of an anchor."""
    _compliant(parts, name)
    chain = ChainLog(parts.broker, name)
    entries = await chain.timed(f"stamp-{sequence}", MAX_STAMPS)
    return {
        "items": [
            _stamp_shown(stamp, at)
            for data, at in entries
            if isinstance(stamp := decode_entry(data), Stamp)
        ]
    }


@router.get("/export", responses=answers(None, 200, 404, 409, media_type=NDJSON))
async def export_stream(parts: Parts, caller: ReadsWholeStreams, name: str) -> Response:
    """The messages of a compliance stream, byte by byte, with their chain and its anchors, as lines
    of JSON (NDJSON): enough to verify them anywhere. An answer without a last line ``end`` is not
    complete."""
    lines = export(parts.broker, _compliant(parts, name))
    try:
        begin = await anext(lines)  # an error is an answer only before the first line
    except (UnknownStream, StreamGone):
        raise Unknown(f"there is no stream {name}") from None

    async def all_lines() -> AsyncGenerator[bytes, None]:
        yield begin
        async for part in lines:
            yield part
            await asyncio.sleep(0)

    return StreamingResponse(all_lines(), media_type=NDJSON)


@router.get("/holds", responses=answers(Holds, 200, 404, 409))
async def list_holds(parts: Parts, caller: ReadsWholeStreams, name: str) -> dict[str, Any]:
    """The legal holds on a compliance stream."""
    return {"items": [hold_to_json(hold) for hold in _compliant(parts, name).holds]}


@router.post("/holds", status_code=201, responses=answers(HoldAnswer, 201, 404, 409))
async def place_hold(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.hold", "stream/{name}")],
    name: str,
    body: NewHold,
) -> dict[str, Any]:
    """Places a legal hold: until it is released, no event leaves the stream, whatever its limits
    are. NATS must have room for that."""
    _compliant(parts, name)
    reason = body_as(_NewHold, body).reason
    now = time.time()
    hold = Hold(f"h-{time.time_ns():x}", reason, now, caller.name)
    await parts.registration.place_hold(name, hold)
    call.about(after=hold_to_json(hold))
    return hold_to_json(hold)


@router.delete("/holds/{hold_id}", status_code=204, responses=answers(None, 204, 404, 409))
async def release_hold(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.release", "stream/{name}")],
    name: str,
    hold_id: str,
) -> None:
    """Releases a legal hold. After the last one the events that are beyond the limits leave the
    stream at once, the oldest first."""
    definition = _compliant(parts, name)
    before = next((hold for hold in definition.holds if hold.id == hold_id), None)
    await parts.registration.release_hold(name, hold_id)
    call.about(before=None if before is None else hold_to_json(before))


@router.post("/redactions", responses=answers(Redaction, 200, 404, 409))
async def redact(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.redact", "stream/{name}")],
    name: str,
    body: NewRedaction,
) -> dict[str, Any]:
    """Erases the key of a person, whom ``subject`` names as the events do: the data of the events
    about that person, up to now, cannot be read any more. It cannot be undone; the chain stays
    valid. The audit log does not name the person."""
    definition = _compliant(parts, name)
    if definition.sealed_by is None:
        raise Conflict(f"the data in the stream {name} is not sealed: it has no sealed_by")
    subject = body_as(_NewRedaction, body).subject
    person = parts.sealing.person(name, subject)
    marker = await parts.sealing.keys.erase(name, person)
    call.about(after={"person": person, "erased": marker is not None})
    return {
        "stream": name,
        "erased": marker is not None,
        "erased_at": rfc3339_or_none(None if marker is None else marker.erased_at),
    }


@router.get("/records/{seq}", responses=answers(OpenedEvent, 200, 404, 409))
async def show_record(
    parts: Parts,
    caller: ReadsWholeStreams,
    name: str,
    seq: Annotated[int, Path(ge=1, le=MAX_SEQ, description="The sequence.")],
) -> dict[str, Any]:
    """An event of a compliance stream as it was published: its data opened, if it was sealed and
    not redacted."""
    _compliant(parts, name)
    source = stream_name(name)
    page = await read_page(parts.broker, source, from_seq=seq, limit=1)
    if not page.messages or page.messages[0].seq != seq:
        raise Unknown(f"the stream {name} has no message {seq}")
    message = page.messages[0]
    try:
        event = from_message(
            message.headers, message.data, subject=message.subject, stream=source, seq=seq,
            time=message.time,
        ).event  # fmt: skip
    except InvalidEvent:
        raise Unknown(f"the message {seq} of the stream {name} is no event") from None
    opened = await parts.sealing.opened(name, event)
    return {
        "seq": seq,
        "time": rfc3339(message.time),
        "redacted": opened is None,
        "event": msgspec.json.decode(to_structured(opened or redacted(event))),
    }


def _compliant(parts: ComplianceParts, name: str) -> StreamDefinition:
    definition = present(parts.registry.stream(name))
    if not definition.compliance:
        raise Conflict(f"the stream {name} does not store records for compliance")
    return definition


def _stamp_shown(stamp: Stamp, at: float) -> dict[str, Any]:
    return {
        "sequence": stamp.sequence,
        "kind": stamp.kind,
        "value": base64.b64encode(stamp.value).decode(),
        "time": rfc3339(at),
    }
