"""``/v1/streams/{name}/chain``, its anchors and exports: what proves a compliance stream."""

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path, Request, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsWholeStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.streams import (
    AnchorAnswer,
    ChainAnswer,
    StampAnswer,
    Stamps,
)
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.compliant_stream import Parts, compliant
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.exports import Export
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
from event_gateway.broker.named_streams import UnknownStream, bounds, stream_name
from event_gateway.broker.stored_messages import StreamGone
from event_gateway.compliance.export import LINES, PACKED, export
from event_gateway.core.compliance.anchor import Anchor, Stamp
from event_gateway.core.compliance.export import decode_entry
from event_gateway.core.compliance.packed_export import MEDIA_TYPE
from event_gateway.core.errors import Conflict, InvalidDefinition, NotRegistered
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339

router = APIRouter(prefix="/v1/streams/{name}", tags=["compliance"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

NDJSON = "application/x-ndjson"
MAX_STAMP = 64 * 1024  # bytes
MAX_STAMPS = 16  # of an anchor
TRIES = 5  # to append a stamp, while others append to the chain


class _NewStamp(msgspec.Struct, forbid_unknown_fields=True):
    kind: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,32}$")]
    value: Annotated[str, msgspec.Meta(min_length=4, max_length=MAX_STAMP * 4 // 3 + 4)]


Sequence = Annotated[int, Path(ge=1, le=MAX_SEQ, description="The sequence of the anchor.")]
NewStamp = Annotated[dict[str, Any], Body(), SchemaOf(_NewStamp)]


@router.get("/chain", responses=answers(ChainAnswer, 200, 404, 409))
async def show_chain(parts: Parts, caller: ReadsWholeStreams, name: str) -> dict[str, Any]:
    """How far the hash chain of a compliance stream is, its last anchor, and whether the stream can
    only grow: the gateway tries what its own user may do, without changing anything."""
    definition = compliant(parts, name)
    chain = ChainLog(parts.broker, name)
    try:
        last_seq = (await bounds(parts.broker, stream_name(name))).last
    except UnknownStream:
        raise NotRegistered(f"there is no stream {name}") from None
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
    NATS can change them: they show later that the chain was not rewritten."""
    first = read_cursor(cursor, SeqCursor) or 1
    compliant(parts, name)
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
    compliant(parts, name)
    given = body_as(_NewStamp, body)
    try:
        value = base64.b64decode(given.value, validate=True)
    except binascii.Error:
        raise InvalidDefinition("value", "must be base64") from None
    chain = ChainLog(parts.broker, name)
    if not await chain.has_anchor(sequence):
        raise NotRegistered(f"the stream {name} has no anchor at {sequence}")
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
    compliant(parts, name)
    chain = ChainLog(parts.broker, name)
    entries = await chain.timed(f"stamp-{sequence}", MAX_STAMPS)
    return {
        "items": [
            _stamp_shown(stamp, at)
            for data, at in entries
            if isinstance(stamp := decode_entry(data), Stamp)
        ]
    }


@router.get("/export", responses=answers(None, 200, 404, 409, 429, media_type=NDJSON))
async def export_stream(
    parts: Parts, caller: ReadsWholeStreams, request: Request, name: str
) -> Response:
    """The messages of a compliance stream, byte by byte, with their chain and its anchors, as lines
    of JSON (NDJSON): enough to verify them anywhere. An answer without a last line ``end`` is not
    complete. At a time a process makes 12 exports, 3 for a key; 429 for further ones."""
    # For `event-gateway streams verify`.
    packed = request.headers.get("accept") == MEDIA_TYPE
    lines = export(parts.broker, compliant(parts, name), PACKED if packed else LINES)
    ended = parts.exports.begin(caller)
    try:
        begin = await anext(lines)  # an error is an answer only before the first line
    except (UnknownStream, StreamGone):
        ended()
        raise NotRegistered(f"there is no stream {name}") from None
    except BaseException:
        ended()
        raise

    async def all_lines() -> AsyncGenerator[bytes, None]:
        yield begin
        async for part in lines:
            yield part
            await asyncio.sleep(0)

    return Export(all_lines(), MEDIA_TYPE if packed else NDJSON, ended)


def _stamp_shown(stamp: Stamp, at: float) -> dict[str, Any]:
    return {
        "sequence": stamp.sequence,
        "kind": stamp.kind,
        "value": base64.b64encode(stamp.value).decode(),
        "time": rfc3339(at),
    }
