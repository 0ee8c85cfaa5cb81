"""The event in a message of NATS (NATS binding), whatever mode that is in."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

import msgspec

from event_gateway.core.cloudevents.attributes import check_event
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.event import NATS, DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import from_fields, from_structured, usual
from event_gateway.core.cloudevents.json_members import decode_object, decode_value, readable
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.cloudevents.surrogates import covered
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.text.times import rfc3339

LOG_FORMAT = 1  # of what the gateway itself writes into the log, in FORMAT_HEADER
FORMAT_HEADER = "Eg-Format"
ORIGIN_HEADER = "Eg-Origin"  # of what the gateway itself writes into the log; else it is NATS
_JSON = "application/json"
REPEATED_HEADER = "Eg-Repeated"  # says which header of a message is there twice; see broker/headers


def from_message(
    headers: Mapping[str, str] | None,
    body: bytes,
    *,
    subject: str,
    stream: str,
    seq: int,
    time: float,
) -> Received:
    """The event in a NATS message of the log; raises InvalidEvent where it can be none.

    Structured and binary mode as in the NATS binding, a bare CloudEvent as JSON, and what is
    plainly an event though its publisher knows nothing of CloudEvents: a JSON object. That takes
    its type from the subject and its identity from its place in the log.
    """
    content_type = None
    origin = NATS
    binary = False
    if headers:
        for name, value in headers.items():
            lowered = name.lower()
            if lowered == "content-type":
                if content_type is not None:
                    raise InvalidEvent("invalid", "the header content-type is there twice")
                content_type = value
            elif lowered.startswith("ce-"):
                binary = True
            elif lowered == "eg-repeated":
                raise InvalidEvent("invalid", f"the header {value[:64]} is there twice")
            elif lowered == "eg-format" and value != str(LOG_FORMAT):
                raise InvalidEvent(
                    "unsupported",
                    f"the message has format {value[:16]}, this version knows {LOG_FORMAT}: it was "
                    "written by a newer version of the gateway",
                )
            elif name == ORIGIN_HEADER:
                origin = value
    mode = "binary" if content_type is None else mode_of(content_type)
    if mode == "structured":
        event = from_structured(body)
    elif mode == "batch":
        raise InvalidEvent("unsupported", "the NATS binding has no batches")
    elif binary and headers:
        event = from_binary(headers.items(), content_type, body)
    elif (bare := usual(body)) is not None:
        event = bare
    else:
        kind = DataKind.JSON
        try:
            fields = decode_object(body)
        except InvalidEvent:
            fields, kind = decode_object(covered(body)), DataKind.BINARY
        if "specversion" in fields:
            event = from_structured(body)
        else:
            event = _from_plain_object(fields, body, kind, subject, stream, seq, time)
    return Received(event, stream, seq, time, origin)


def _from_plain_object(
    fields: dict[str, msgspec.Raw],
    body: bytes,
    kind: DataKind,
    subject: str,
    stream: str,
    seq: int,
    time: float,
) -> Event:
    event_type = subject.removeprefix("events.")
    values = {
        name: decode_value(name, raw) for name, raw in fields.items() if name in ("type", "source")
    }
    if values.get("type") == event_type and isinstance(values.get("source"), str):
        # A CloudEvent whose publisher left out specversion (and id), as some libraries allow.
        defaults: dict[str, object] = {
            "specversion": "1.0", "id": f"{stream}-{seq}", "time": rfc3339(time),
        }  # fmt: skip
        return from_fields(*readable(body), defaults)
    return check_event(
        Event(
            id=f"{stream}-{seq}",
            source=_source_of(stream),
            type=event_type,
            time=rfc3339(time),
            datacontenttype=_JSON,
            data=body,
            kind=kind,
        )
    )


@lru_cache(maxsize=256)
def _source_of(stream: str) -> str:
    """A stream as a URI reference: its name may hold what that may not."""
    return f"nats:{quote(stream, safe='')}"
