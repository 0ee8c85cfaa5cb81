"""CloudEvents on the wire: the JSON format, its batches, and binary mode's headers.

Rules: CloudEvents 1.0.2 JSON event format; HTTP binding 3.1 (binary) and 3.1.3.2 (header values);
NATS binding. ``data`` is never parsed and written anew: its bytes are cut out and spliced in.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from event_gateway.core.errors import InvalidEvent
from event_gateway.core.event import DataKind, Event, Extension, Received, check_event
from event_gateway.core.times import rfc3339

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

LOG_FORMAT = 1  # of what the gateway itself writes into the log, in FORMAT_HEADER
FORMAT_HEADER = "Eg-Format"

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects = msgspec.json.Decoder(list[msgspec.Raw])
_any_json = msgspec.json.Decoder(msgspec.Raw)
_value = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
# Out of what Python's stack holds comes an error of its own, at some 900 levels of nesting.
_UNREADABLE = (msgspec.DecodeError, RecursionError)
_INT32 = range(-(2**31), 2**31)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})|%")


def is_json_content(content_type: str | None) -> bool:
    """Whether a media type means JSON: subtype ``json`` or ``+json``; none given means JSON too."""
    if content_type is None or content_type == "application/json":
        return True
    subtype = content_type.partition(";")[0].strip().lower().rpartition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def from_structured(body: bytes) -> Event:
    """The event in a JSON-format body. Raises InvalidEvent."""
    return _usual(body) or _from_object(_decode_object(body))


class _Usual(msgspec.Struct, forbid_unknown_fields=True):
    """What nearly all events are made of: read in one go, at a third of the cost."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_usual_event = msgspec.json.Decoder(_Usual)


def _usual(body: bytes) -> Event | None:
    """The event in a JSON-format body that is of the usual form; None where it is of another one,
    or wrong, which is for a closer look to say."""
    _check_utf8(body)
    try:
        found = _usual_event.decode(body)
    except _UNREADABLE:
        return None
    content_type, data, kind = found.datacontenttype, b"", DataKind.NONE
    if found.data is not msgspec.UNSET:
        data, kind = bytes(found.data), DataKind.JSON
        if not is_json_content(content_type):
            return None
    extensions: dict[str, Extension] = {}
    if found.correlationid is not None:
        extensions["correlationid"] = found.correlationid
    if found.causationid is not None:
        extensions["causationid"] = found.causationid
    if found.traceparent is not None:
        extensions["traceparent"] = found.traceparent
    return check_event(
        Event(
            found.id, found.source, found.type, found.subject, found.time, content_type,
            found.dataschema, extensions, data, kind,
        )
    )  # fmt: skip


def from_batch(body: bytes) -> list[Event | InvalidEvent]:
    """Each item of a JSON batch, as an event or as what is wrong with it."""
    _check_utf8(body)
    try:
        items = _objects.decode(body)
    except _UNREADABLE as error:
        raise InvalidEvent("malformed", f"the batch is no JSON array: {error}") from None
    out: list[Event | InvalidEvent] = []
    for item in items:
        try:
            out.append(_from_object(_decode_object(bytes(item))))
        except InvalidEvent as error:
            out.append(error)
    return out


def from_binary(headers: Iterable[tuple[str, str]], content_type: str | None, body: bytes) -> Event:
    """The event of a binary-mode message: ``ce-`` headers (names in any case) and a body.

    Raises InvalidEvent.
    """
    attributes: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered.startswith("ce-"):
            if lowered[3:] in attributes:
                raise InvalidEvent("invalid", f"the header {lowered} is there twice")
            attributes[lowered[3:]] = decode_header(value, lowered)
    _check_version(attributes.pop("specversion", None))
    content_type = attributes.pop("datacontenttype", None) or content_type
    kind = DataKind.NONE
    if body:
        if is_json_content(content_type):
            _check_utf8(body)
            try:
                _any_json.decode(body)
            except _UNREADABLE as error:
                raise InvalidEvent(
                    "malformed", f"the content type is {content_type} but the body is not: {error}"
                ) from None
            kind = DataKind.JSON
        else:
            kind = DataKind.TEXT if _is_text(content_type, body) else DataKind.BINARY
    extensions: dict[str, Extension] = {
        name: value for name, value in attributes.items() if name not in _OWN_FIELDS
    }
    return check_event(
        Event(
            id=attributes.get("id", ""),
            source=attributes.get("source", ""),
            type=attributes.get("type", ""),
            subject=attributes.get("subject"),
            time=attributes.get("time"),
            datacontenttype=content_type,
            dataschema=attributes.get("dataschema"),
            extensions=extensions,
            data=body,
            kind=kind,
        )
    )


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
    binary = False
    if headers:
        for name, value in headers.items():
            lowered = name.lower()
            if lowered == "content-type":
                content_type = value
            elif lowered == "ce-specversion" or lowered == "ce-id":
                binary = True
            elif lowered == "eg-format" and value != str(LOG_FORMAT):
                raise InvalidEvent(
                    "unsupported",
                    f"the message has format {value[:16]}, this version knows {LOG_FORMAT}: it was "
                    "written by a newer version of the gateway",
                )
    if content_type and content_type.lower().startswith("application/cloudevents"):
        if content_type.lower().startswith("application/cloudevents-batch"):
            raise InvalidEvent("unsupported", "the NATS binding has no batches")
        event = from_structured(body)
    elif binary and headers:
        event = from_binary(headers.items(), content_type, body)
    elif (usual := _usual(body)) is not None:
        event = usual
    else:
        fields = _decode_object(body)
        if "specversion" in fields:
            event = _from_object(fields)
        else:
            event = _from_plain_object(fields, body, subject, stream, seq, time)
    return Received(event, stream, seq, time)


def to_structured(event: Event) -> bytes:
    """The event in the JSON format."""
    out: dict[str, object] = {
        "specversion": "1.0", "id": event.id, "source": event.source, "type": event.type,
    }  # fmt: skip
    if event.subject is not None:
        out["subject"] = event.subject
    if event.time is not None:
        out["time"] = event.time
    if event.datacontenttype is not None:
        out["datacontenttype"] = event.datacontenttype
    if event.dataschema is not None:
        out["dataschema"] = event.dataschema
    if event.extensions:
        out.update(event.extensions)
    if event.kind is DataKind.JSON:
        out["data"] = msgspec.Raw(event.data)
    elif event.kind is DataKind.TEXT:
        out["data"] = event.data.decode()
    elif event.kind is DataKind.BINARY:
        out["data_base64"] = base64.b64encode(event.data).decode()
    return _encode(out)


def decode_header(value: str, name: str) -> str:
    """An attribute from its header: unquoted, then one round of percent-decoding, as UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if "%" not in value and value.isascii():
        return value

    def byte(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            raise InvalidEvent("invalid", f"{name} holds a '%' that is no percent-encoding")
        return bytes((int(match[1], 16),))

    try:
        return _PERCENT.sub(byte, value.encode()).decode()
    except UnicodeError:
        raise InvalidEvent("invalid", f"{name} does not decode to UTF-8") from None


_OWN_FIELDS = frozenset(
    ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
)


def _decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    _check_utf8(body)
    try:
        return _object.decode(body)
    except _UNREADABLE as error:
        raise InvalidEvent("malformed", f"the body is no JSON object: {error}") from None


def _check_utf8(body: bytes) -> None:
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise InvalidEvent("malformed", f"the body is not UTF-8: {error}") from None


def _check_version(version: object) -> None:
    if version is None:
        raise InvalidEvent("invalid", "specversion is missing")
    if version != "1.0":
        raise InvalidEvent("unsupported", f"specversion is {version!r}; this gateway takes 1.0")


def _is_text(content_type: str | None, body: bytes) -> bool:
    media = (content_type or "").partition(";")[0].strip().lower()
    if not (media.startswith("text/") or media.endswith(("xml", "javascript", "yaml"))):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _from_object(fields: dict[str, msgspec.Raw]) -> Event:
    data = fields.pop("data", None)
    encoded = fields.pop("data_base64", None)
    values = {name: _decode_value(name, raw) for name, raw in fields.items()}
    _check_version(values.pop("specversion", None))
    return _build(values, data, encoded)


def _decode_value(name: str, raw: msgspec.Raw) -> object:
    try:
        return _value.decode(raw)
    except _UNREADABLE as error:
        raise InvalidEvent("invalid", f"{name[:64]} cannot be read: {error}") from None


def _build(
    values: dict[str, object], data: msgspec.Raw | None, encoded: msgspec.Raw | None
) -> Event:
    own: dict[str, str] = {}
    extensions: dict[str, Extension] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in _OWN_FIELDS:
            if not isinstance(value, str):
                raise InvalidEvent("invalid", f"{name} must be a string")
            own[name] = value
        elif isinstance(value, (str, bool)) or (isinstance(value, int) and value in _INT32):
            extensions[name] = value
        else:
            raise InvalidEvent(
                "invalid", f"{name[:64]} must be a string, a boolean or a 32-bit integer"
            )
    content_type = own.get("datacontenttype")
    raw, kind = b"", DataKind.NONE
    if data is not None and encoded is not None:
        raise InvalidEvent("invalid", "data and data_base64 exclude each other")
    if encoded is not None:
        raw, kind = _from_base64(encoded), DataKind.BINARY
    elif data is not None:
        raw, kind = bytes(data), DataKind.JSON
        if not is_json_content(content_type) and raw[:1] == b'"':
            raw, kind = str(_decode_value("data", data)).encode(), DataKind.TEXT
    return check_event(
        Event(
            id=own.get("id", ""),
            source=own.get("source", ""),
            type=own.get("type", ""),
            subject=own.get("subject"),
            time=own.get("time"),
            datacontenttype=content_type,
            dataschema=own.get("dataschema"),
            extensions=extensions,
            data=raw,
            kind=kind,
        )
    )


def _from_base64(encoded: msgspec.Raw) -> bytes:
    text = _decode_value("data_base64", encoded)
    if not isinstance(text, str):
        raise InvalidEvent("invalid", "data_base64 must be a string")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidEvent("invalid", "data_base64 is no base64") from None


def _from_plain_object(
    fields: dict[str, msgspec.Raw], body: bytes, subject: str, stream: str, seq: int, time: float
) -> Event:
    event_type = subject.removeprefix("events.")
    values = {
        name: _decode_value(name, raw) for name, raw in fields.items() if name in ("type", "source")
    }
    if values.get("type") == event_type and isinstance(values.get("source"), str):
        # A CloudEvent whose publisher left out specversion (and id), as some libraries allow.
        data, encoded = fields.pop("data", None), fields.pop("data_base64", None)
        partial = {name: _decode_value(name, raw) for name, raw in fields.items()}
        partial.setdefault("id", f"{stream}-{seq}")
        partial.setdefault("time", rfc3339(time))
        return _build(partial, data, encoded)
    return check_event(
        Event(
            id=f"{stream}-{seq}",
            source=f"nats:{stream}",
            type=event_type,
            time=rfc3339(time),
            datacontenttype="application/json",
            data=body,
            kind=DataKind.JSON,
        )
    )
