"""The JSON event format (CloudEvents 1.0.2) and its batches.

``data`` is not decoded and encoded again: its bytes are copied.
"""

import base64
from typing import Literal

import msgspec

from event_gateway.core.cloudevents.attributes import MAX_ATTRIBUTES, check_event, plain_size
from event_gateway.core.cloudevents.event import DataKind, Event, Extension
from event_gateway.core.cloudevents.json_members import (
    BOTH_DATA,
    UNREADABLE,
    check_repeated,
    check_utf8,
    check_version,
    decode_value,
    json_payload,
    readable,
    why_unreadable,
)
from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.cloudevents.surrogates import replace_halves, values
from event_gateway.core.errors import InvalidEvent

_objects = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
MAX_BATCH = 1000  # events
MAX_ENCODED = 6 * MAX_ATTRIBUTES  # bytes of attributes if each character is escaped
MAX_MEMBERS = MAX_ATTRIBUTES // 2  # including attributes that are null
_INT32 = range(-(2**31), 2**31)
OWN_FIELDS = frozenset(("id", "source", "type", "subject", "time", "datacontenttype", "dataschema"))


def from_structured(body: bytes) -> Event:
    """The event in a JSON-format body. Raises InvalidEvent."""
    event = decode_common(body)
    if event is None:
        fields, body = readable(body)
        event = from_fields(fields, body)
    return event


class TooManyEvents(Exception):
    """A batch has more events than are taken."""


def from_batch(body: bytes) -> list[tuple[Event | InvalidEvent, bytes]]:
    """Each item of a JSON batch, as an event or as the error that it has, and its text. Raises
    InvalidEvent if the body is not a batch, TooManyEvents if it has more than MAX_BATCH items."""
    check_utf8(body)
    clean = replace_halves(body)
    try:
        decoded = _objects.decode(clean)
    except UNREADABLE as error:
        reason = why_unreadable(body, error)
        raise InvalidEvent("malformed", f"the batch is not a JSON array: {reason}") from None
    if len(decoded) > MAX_BATCH:
        raise TooManyEvents
    items = [bytes(item) for item in decoded]
    out: list[tuple[Event | InvalidEvent, bytes]] = []
    if clean is not body:
        items = list(values(body, [len(item) for item in items]))
    for item in items:
        try:
            out.append((from_structured(item), item))
        except InvalidEvent as error:
            out.append((error, item))
    return out


def to_structured(event: Event) -> bytes:
    """The event in the JSON format."""
    if event.kind is DataKind.JSON and not event.extensions:
        return _encode(
            _CommonEvent(
                "1.0", event.id, event.source, event.type, event.subject, event.time,
                event.datacontenttype, event.dataschema, data=msgspec.Raw(event.data),
            )
        )  # fmt: skip
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


class _CommonEvent(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The members of nearly all events, in the order in which they are written. Decoding them at
    once takes a third of the time, and encoding them half of that of a dictionary."""

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


_common_event = msgspec.json.Decoder(_CommonEvent)


def decode_common(body: bytes) -> Event | None:
    """The event in a JSON-format body with common members only, decoded fast.

    None if it needs the full decoder: it has other members, or a fault.
    """
    check_utf8(body)
    try:
        fields = _common_event.decode(body)
    except UNREADABLE:
        return None
    content_type, raw, kind = fields.datacontenttype, b"", DataKind.NONE
    if fields.data is not msgspec.UNSET:
        raw, kind = bytes(fields.data), DataKind.JSON
        if not is_json_content(content_type):
            return None
    extensions: dict[str, Extension] = {}
    if fields.correlationid is not None:
        extensions["correlationid"] = fields.correlationid
    if fields.causationid is not None:
        extensions["causationid"] = fields.causationid
    if fields.traceparent is not None:
        extensions["traceparent"] = fields.traceparent
    event = Event(
        fields.id, fields.source, fields.type, fields.subject, fields.time, content_type,
        fields.dataschema, extensions, raw, kind,
    )  # fmt: skip
    size = plain_size(event)
    if not size:
        return None
    if kind is DataKind.JSON:
        size += 8 + len(raw)
    # A body longer than its parts has white space, escapes or a repeated name.
    if size != len(body) and not _names_are_unique(body, event):
        return None
    return event


def _names_are_unique(body: bytes, event: Event) -> bool:
    """Whether no name is repeated, by the number of quotes: two for a name, two for a string.

    An escaped quote makes the number wrong, and the body goes to the full decoder.
    """
    strings = 4 + len(event.extensions)
    for value in (event.subject, event.time, event.datacontenttype, event.dataschema):
        if value is not None:
            strings += 1
    quotes = 4 * strings
    if event.kind is DataKind.JSON:
        quotes += 2 + event.data.count(b'"')
    return body.count(b'"') == quotes


def from_fields(
    fields: dict[str, msgspec.Raw], body: bytes, defaults: dict[str, object] | None = None
) -> Event:
    """The event of a JSON object; ``fields`` are the members of the object ``body``.

    ``defaults`` are values of missing attributes. Raises InvalidEvent.
    """
    # The limits are checked before the values are decoded.
    if len(fields) > MAX_MEMBERS:
        raise InvalidEvent("invalid", f"it has {len(fields)} members; {MAX_MEMBERS} are allowed")
    check_repeated(fields, body)
    data = fields.pop("data", None)
    encoded = fields.pop("data_base64", None)
    if sum(len(name) + len(bytes(raw)) for name, raw in fields.items()) > MAX_ENCODED:
        raise InvalidEvent("invalid", f"its attributes have over {MAX_ATTRIBUTES} bytes")
    values = {name: decode_value(name, raw) for name, raw in fields.items()}
    if defaults is not None:
        values = defaults | values
    check_version(values.pop("specversion", None))
    return _build(values, data, encoded)


def _build(
    values: dict[str, object], data: msgspec.Raw | None, encoded: msgspec.Raw | None
) -> Event:
    own: dict[str, str] = {}
    extensions: dict[str, Extension] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in OWN_FIELDS:
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
    if encoded is not None and bytes(encoded) == b"null":
        encoded = None  # null means unset, as with attributes
    if data is not None and encoded is not None:
        raise InvalidEvent("invalid", BOTH_DATA)
    if encoded is not None:
        raw, kind = _from_base64(encoded), DataKind.BINARY
        text = json_payload(content_type, raw)
        if text is not None:
            raw, kind = text, DataKind.JSON
    elif data is not None:
        raw, kind = bytes(data), DataKind.JSON
        if not is_json_content(content_type) and raw[:1] == b'"':
            raw, kind = str(decode_value("data", data)).encode(), DataKind.TEXT
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
    text = decode_value("data_base64", encoded)
    if not isinstance(text, str):
        raise InvalidEvent("invalid", "data_base64 must be a string")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidEvent("invalid", "data_base64 is not base64") from None
