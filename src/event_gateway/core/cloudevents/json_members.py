"""The members of a JSON object, each as it was written, and checks that no name is repeated.

JSON may hold half of a surrogate pair, which no decoder reads: such data is replaced by base64.
"""

import base64
import json
from collections import Counter
from typing import Any

import msgspec

from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.cloudevents.surrogates import covered, values
from event_gateway.core.errors import InvalidEvent

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any_json = msgspec.json.Decoder(msgspec.Raw)
_value = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
# Python's stack ends at some 900 levels of nesting, with an error of its own.
UNREADABLE = (msgspec.DecodeError, RecursionError)
MAX_NAMED = 1024 * 1024  # bytes of a body in which repeated names are looked for


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, the last of each name. Raises InvalidEvent."""
    check_utf8(body)
    try:
        return _object.decode(body)
    except UNREADABLE as error:
        said = why_unreadable(body, error)
        raise InvalidEvent("malformed", f"the body is no JSON object: {said}") from None


def readable(body: bytes) -> tuple[dict[str, msgspec.Raw], bytes]:
    """The members of a CloudEvent in a JSON object, and the object.

    Where there is half of a surrogate pair in its data that is another object, with the data as
    ``data_base64``: they are JSON, and no decoder need read them on their way. Raises InvalidEvent.
    """
    try:
        return decode_object(body), body
    except InvalidEvent:
        clean = covered(body)
        if clean == body:
            raise
    fields = decode_object(clean)
    check_repeated(fields, clean)
    written = values(body, [len(bytes(raw)) for raw in fields.values()])
    for (name, raw), value in zip(list(fields.items()), written, strict=True):
        if value != bytes(raw):
            if name != "data":
                raise InvalidEvent("invalid", f"{name[:64]} {_HALF}")
            content_type = fields.setdefault("datacontenttype", msgspec.Raw(_JSON))
            if value[:1] == b'"' and not is_json_content(_text("datacontenttype", content_type)):
                raise InvalidEvent("invalid", f"data {_HALF}")
            del fields["data"]
            if "data_base64" in fields:
                raise InvalidEvent("invalid", BOTH_DATA)
            fields["data_base64"] = msgspec.Raw(b'"%b"' % base64.b64encode(value))
    body = _encode(fields)
    return decode_object(body), body


_JSON = b'"application/json"'
_HALF = "holds half of a surrogate pair, which is no character"
BOTH_DATA = "data and data_base64 exclude each other"


def _text(name: str, raw: msgspec.Raw) -> str | None:
    value = decode_value(name, raw)
    return value if isinstance(value, str) else None


def check_repeated(fields: dict[str, msgspec.Raw], body: bytes) -> None:
    """Raises InvalidEvent where a name is there twice in an object of these members.

    As names have no quotes in them, each one that is overridden leaves at least two more.
    """
    quotes = sum(2 + bytes(raw).count(b'"') for raw in fields.values())
    if body.count(b'"') != quotes:
        _refuse_repeated(body)


def _refuse_repeated(body: bytes) -> None:
    """Raises InvalidEvent where a name is there twice. What it has read is no more than text."""
    pairs: list[tuple[str, Any]] = []

    def read(found: list[tuple[str, Any]]) -> None:
        pairs[:] = found  # the outermost object comes last

    try:
        if len(body) > MAX_NAMED:
            raise ValueError
        json.loads(body, object_pairs_hook=read, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise InvalidEvent("invalid", "a name is there twice") from None
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise InvalidEvent("invalid", f"the name {name[:64]!r} is there {count} times")


def check_utf8(body: bytes) -> None:
    """Raises InvalidEvent where it is not UTF-8."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise InvalidEvent("malformed", f"the body is not UTF-8: {error}") from None


def check_json(body: bytes, content_type: str | None) -> bool:
    """Whether JSON decoders read it: some has half of a surrogate pair in it.

    Raises InvalidEvent where it is no JSON.
    """
    check_utf8(body)
    try:
        _any_json.decode(body)
        return True
    except UNREADABLE:
        pass
    try:
        _any_json.decode(covered(body))
    except UNREADABLE as error:
        raise InvalidEvent(
            "malformed",
            f"the content type is {content_type} but the body is not: "
            f"{why_unreadable(body, error)}",
        ) from None
    return False


def check_version(version: object) -> None:
    """Raises InvalidEvent where it is not the version that is understood."""
    if version is None:
        raise InvalidEvent("invalid", "specversion is missing")
    if version != "1.0":
        shown = repr(version)[:32]
        raise InvalidEvent("unsupported", f"specversion is {shown}; this gateway takes 1.0")


def decode_value(name: str, raw: msgspec.Raw) -> object:
    """A member's value. Raises InvalidEvent."""
    try:
        return _value.decode(raw)
    except UNREADABLE as error:
        raise InvalidEvent("invalid", f"{name[:64]} cannot be read: {error}") from None


def why_unreadable(body: bytes, error: Exception) -> str:
    """The reason for users why a body is no JSON."""
    if body.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark, which JSON does not (RFC 8259, 8.1)"
    return str(error)
