"""Binary mode: attributes as ``ce-`` headers, the payload as the body.

Rules: HTTP binding 3.1 (and 3.1.3.2 for the encoding of values), NATS binding 3.1.
"""

import re
from collections.abc import Iterable

from event_gateway.core.cloudevents.attributes import MAX_ATTRIBUTES, check_event
from event_gateway.core.cloudevents.event import DataKind, Event, Extension
from event_gateway.core.cloudevents.json_format import OWN_FIELDS
from event_gateway.core.cloudevents.json_members import check_json, check_version, json_payload
from event_gateway.core.cloudevents.media_types import (
    declared_encoding,
    is_json_content,
    is_media_type,
    is_text_content,
    json_as_declared,
    text_as_declared,
)
from event_gateway.core.errors import InvalidEvent

# Bytes of all encoded values: percent-encoding triples them, and there may be white space.
MAX_ENCODED = 4 * MAX_ATTRIBUTES
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})|%")
_QUOTED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r"[^\x21\x23\x24\x26-\x7e]+")


def from_binary(headers: Iterable[tuple[str, str]], content_type: str | None, body: bytes) -> Event:
    """The event of a binary-mode message: ``ce-`` headers (names in any case) and a body.

    Raises InvalidEvent.
    """
    attributes: dict[str, str] = {}
    size = 0
    for name, value in headers:
        lowered = name.lower()
        if lowered.startswith("ce-"):
            size += len(value)
            if size > MAX_ENCODED:
                raise InvalidEvent("invalid", f"the ce- headers have over {MAX_ENCODED} bytes")
            if lowered[3:] in attributes:
                raise InvalidEvent("invalid", f"the header {lowered[:64]} occurs twice")
            attributes[lowered[3:]] = decode_header(value, lowered[:64])
    check_version(attributes.pop("specversion", None))
    if "data" in attributes:
        raise InvalidEvent("invalid", "ce-data is not an attribute: the payload is the body")
    content_type = attributes.pop("datacontenttype", None) or content_type or None
    kind, body = _payload(content_type, body)
    extensions: dict[str, Extension] = {
        name: value for name, value in attributes.items() if name not in OWN_FIELDS
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


def _payload(content_type: str | None, body: bytes) -> tuple[DataKind, bytes]:
    """The kind of a payload, and the payload: JSON in UTF-8, all else as it is. Raises InvalidEvent
    if it should be JSON in UTF-8 and is not."""
    if not body:
        return DataKind.NONE, body
    if declared_encoding(content_type, body) is not None:
        converted = json_payload(content_type, body)
        return (DataKind.BINARY, body) if converted is None else (DataKind.JSON, converted)
    if content_type is None:
        try:
            return DataKind.JSON if check_json(body, None) else DataKind.BINARY, body
        except InvalidEvent:
            return DataKind.BINARY, body
    if is_json_content(content_type):
        return DataKind.JSON if check_json(body, content_type) else DataKind.BINARY, body
    if is_text_content(content_type):
        try:
            body.decode()
        except UnicodeDecodeError:
            return DataKind.BINARY, body
        return DataKind.TEXT, body
    return DataKind.BINARY, body


def decode_header(value: str, name: str) -> str:
    """The value of an attribute from its header: unquotes it, then percent-decodes it once, as
    UTF-8.

    Raises InvalidEvent.
    """
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _QUOTED.sub(r"\1", value[1:-1])
    if "%" not in value and value.isascii():
        return value
    if "\ufffd" in value:  # clients put it in place of bytes that they cannot decode
        raise InvalidEvent("invalid", f"{name} is not UTF-8, or contains U+FFFD unencoded")

    def byte(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            raise InvalidEvent("invalid", f"{name} contains a '%' that is no percent-encoding")
        return bytes((int(match[1], 16),))

    try:
        return _ESCAPE.sub(byte, value.encode()).decode()
    except UnicodeError:
        raise InvalidEvent("invalid", f"{name} does not decode to UTF-8") from None


def encode_header(value: Extension) -> str:
    """The header value of an attribute."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _TO_ESCAPE.sub(_escaped, str(value))


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def goes_binary(event: Event) -> bool:
    """Whether binary mode can carry the event. It cannot if the payload's content type is a
    CloudEvent's: receivers would read the payload as an event in structured mode. Nor if it is no
    media type, which may be raw text above ASCII in a header."""
    content_type = event.datacontenttype
    return content_type is None or (
        is_media_type(content_type)
        and not content_type.lower().startswith("application/cloudevents")
    )


def to_binary(event: Event) -> tuple[bytes, bytes]:
    """The header lines of an HTTP request in binary mode, including Content-Type, and its body.

    Raises ValueError if the payload is text that its declared encoding cannot express.
    """
    lines = [
        f"ce-specversion: 1.0\r\nce-id: {encode_header(event.id)}\r\n"
        f"ce-source: {encode_header(event.source)}\r\nce-type: {encode_header(event.type)}\r\n"
    ]
    if event.subject is not None:
        lines.append(f"ce-subject: {encode_header(event.subject)}\r\n")
    if event.time is not None:
        lines.append(f"ce-time: {encode_header(event.time)}\r\n")
    if event.dataschema is not None:
        lines.append(f"ce-dataschema: {encode_header(event.dataschema)}\r\n")
    for name, value in event.extensions.items():
        lines.append(f"ce-{name}: {encode_header(value)}\r\n")
    content_type, body = event.datacontenttype, event.data
    if content_type is None and event.kind is DataKind.JSON:
        content_type = "application/json"
    if content_type is not None:
        lines.append(f"content-type: {content_type}\r\n")
    if event.kind is DataKind.TEXT:
        body = text_as_declared(content_type, body)
    elif event.kind is DataKind.JSON:
        body = json_as_declared(content_type, body)
    return "".join(lines).encode(), body
