"""Decodes the event in a NATS message, in every mode of the NATS binding and as plain JSON."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

import msgspec

from event_gateway.core.cloudevents.attributes import check_event
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.event import NATS, DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import decode_common, from_fields, from_structured
from event_gateway.core.cloudevents.json_members import decode_object, decode_value, readable
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.cloudevents.surrogates import replace_halves
from event_gateway.core.cloudevents.trace_context import read_context
from event_gateway.core.cloudevents.type_subject import type_of
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.text.times import rfc3339

LOG_FORMAT = 1  # the value of FORMAT_HEADER in messages that the gateway writes into the log
FORMAT_HEADER = "Eg-Format"
ORIGIN_HEADER = "Eg-Origin"  # in messages that the gateway writes into the log; without it NATS
_JSON = "application/json"
REPEATED_HEADER = "Eg-Repeated"  # names a header that a message has twice; see broker/headers


def from_message(
    headers: Mapping[str, str] | None,
    body: bytes,
    *,
    subject: str,
    stream: str,
    seq: int,
    time: float,
) -> Received:
    """The event in a NATS message of the log. Raises InvalidEvent.

    It may be in structured or binary mode as in the NATS binding, a CloudEvent as JSON without a
    content type, or a plain JSON object. A plain object becomes the data of an event whose type
    comes from the subject and whose id is its position in the log. ``time``: when the log stored
    the message, in seconds since the epoch.
    """
    content_type = None
    origin = NATS
    binary = False
    trace = None
    if headers:
        for name, value in headers.items():
            lowered = name.lower()
            if lowered == "content-type":
                if content_type is not None:
                    raise InvalidEvent("invalid", "the header content-type occurs twice")
                content_type = value
            elif lowered.startswith("ce-"):
                binary = True
            elif lowered == "eg-repeated":
                raise InvalidEvent("invalid", f"the header {value[:64]} occurs twice")
            elif lowered == "eg-format" and value != str(LOG_FORMAT):
                raise InvalidEvent(
                    "unsupported",
                    f"the message has format {value[:16]}, this version knows {LOG_FORMAT}: it was "
                    "written by a newer version of the gateway",
                )
            elif name == ORIGIN_HEADER:
                origin = value
            elif lowered == "traceparent":
                trace = read_context(value, _tracestate(headers))
    undated = False
    mode = "binary" if content_type is None else mode_of(content_type)
    if mode == "structured":
        event = from_structured(body)
    elif mode == "batch":
        raise InvalidEvent("unsupported", "the NATS binding has no batches")
    elif binary and headers:
        event = from_binary(headers.items(), content_type, body)
    elif (common := decode_common(body)) is not None:
        event = common
    else:
        kind = DataKind.JSON
        try:
            fields = decode_object(body)
        except InvalidEvent:
            fields, kind = decode_object(replace_halves(body)), DataKind.BINARY
        if "specversion" in fields:
            event = from_structured(body)
        else:
            event = _from_plain_object(fields, body, kind, subject, stream, seq, time)
            undated = event.time == rfc3339(time)
    return Received(event, stream, seq, time, origin, undated=undated, trace=trace)


def _tracestate(headers: Mapping[str, str]) -> str | None:
    return next((value for name, value in headers.items() if name.lower() == "tracestate"), None)


def _from_plain_object(
    fields: dict[str, msgspec.Raw],
    body: bytes,
    kind: DataKind,
    subject: str,
    stream: str,
    seq: int,
    time: float,
) -> Event:
    event_type = type_of(subject)
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
    """The source of plain objects in a stream: its name, quoted as a URI reference."""
    return f"nats:{quote(stream, safe='')}"
