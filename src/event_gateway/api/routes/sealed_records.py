"""``/v1/streams/{name}/redactions`` and ``/records``: the sealed data in a compliance stream."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsWholeStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.streams import OpenedEvent, Redaction
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.compliant_stream import Parts, compliant
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.audit.trail import Call
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.stream_page import read_page
from event_gateway.compliance.sealing import redacted
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import Conflict, InvalidEvent, NotRegistered
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import rfc3339, rfc3339_or_none

router = APIRouter(prefix="/v1/streams/{name}", tags=["compliance"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


class _NewRedaction(msgspec.Struct, forbid_unknown_fields=True):
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


NewRedaction = Annotated[dict[str, Any], Body(), SchemaOf(_NewRedaction)]


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
    definition = compliant(parts, name)
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
    compliant(parts, name)
    source = stream_name(name)
    page = await read_page(parts.broker, source, from_seq=seq, limit=1)
    if not page.messages or page.messages[0].seq != seq:
        raise NotRegistered(f"the stream {name} has no message {seq}")
    message = page.messages[0]
    try:
        event = from_message(
            message.headers, message.data, subject=message.subject, stream=source, seq=seq,
            time=message.time,
        ).event  # fmt: skip
    except InvalidEvent:
        raise NotRegistered(f"the message {seq} of the stream {name} is no event") from None
    opened = await parts.sealing.opened(name, event)
    return {
        "seq": seq,
        "time": rfc3339(message.time),
        "redacted": opened is None,
        "event": msgspec.json.decode(to_structured(opened or redacted(event))),
    }
