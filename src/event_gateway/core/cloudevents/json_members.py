"""Decodes the members of a JSON object without decoding their values, and refuses repeated names.

JSON may contain half of a surrogate pair, which decoders refuse; such data is turned into base64.
"""

import base64
import json
from collections import Counter
from typing import Any

import msgspec

from event_gateway.core.cloudevents.media_types import is_json_content, json_in_utf8
from event_gateway.core.cloudevents.surrogates import replace_halves, values
from event_gateway.core.errors import InvalidEvent

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any_json = msgspec.json.Decoder(msgspec.Raw)
_value = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
# Beyond some 900 levels of nesting the decoder raises RecursionError.
UNREADABLE = (msgspec.DecodeError, RecursionError)
MAX_SEARCHED = 1024 * 1024  # bytes of a body that is searched for the repeated name


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object; of a repeated name the last. Raises InvalidEvent."""
    check_utf8(body)
    try:
        return _object.decode(body)
    except UNREADABLE as error:
        reason = why_unreadable(body, error)
        raise InvalidEvent("malformed", f"the body is not a JSON object: {reason}") from None


def readable(body: bytes) -> tuple[dict[str, msgspec.Raw], bytes]:
    """The members of a CloudEvent in a JSON object, and the object.

    If its data contains half of a surrogate pair, the object that is returned has the data as
    ``data_base64`` instead: receivers get the bytes unchanged, and decoders accept the event.
    Raises InvalidEvent.
    """
    try:
        return decode_object(body), body
    except InvalidEvent:
        clean = replace_halves(body)
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
_HALF = "contains half of a surrogate pair, which is not a character"
BOTH_DATA = "data and data_base64 exclude each other"


def _text(name: str, raw: msgspec.Raw) -> str | None:
    value = decode_value(name, raw)
    return value if isinstance(value, str) else None


def check_repeated(fields: dict[str, msgspec.Raw], body: bytes) -> None:
    """Raises InvalidEvent if a name is repeated in the object with these members.

    The names of an event contain no quotes, so a repeated name adds at least two quotes.
    """
    quotes = sum(2 + bytes(raw).count(b'"') for raw in fields.values())
    if body.count(b'"') != quotes:
        _refuse_repeated(body)


def _refuse_repeated(body: bytes) -> None:
    """Raises InvalidEvent, with the name, if a name is repeated. Numbers are not converted."""
    pairs: list[tuple[str, Any]] = []

    def collect(members: list[tuple[str, Any]]) -> None:
        pairs[:] = members  # the outermost object comes last

    try:
        if len(body) > MAX_SEARCHED:
            raise ValueError
        json.loads(body, object_pairs_hook=collect, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise InvalidEvent("invalid", "a name occurs twice") from None
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise InvalidEvent("invalid", f"the name {name[:64]!r} occurs {count} times")


def check_utf8(body: bytes) -> None:
    """Raises InvalidEvent if the body is not UTF-8."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise InvalidEvent("malformed", f"the body is not UTF-8: {error}") from None


def check_json(body: bytes, content_type: str | None) -> bool:
    """Whether JSON decoders accept the body: False if it contains half of a surrogate pair.

    Raises InvalidEvent if it is not JSON.
    """
    check_utf8(body)
    try:
        _any_json.decode(body)
        return True
    except UNREADABLE:
        pass
    try:
        _any_json.decode(replace_halves(body))
    except UNREADABLE as error:
        raise InvalidEvent(
            "malformed",
            f"the content type is {content_type} but the body is not: "
            f"{why_unreadable(body, error)}",
        ) from None
    return False


def json_payload(content_type: str | None, body: bytes) -> bytes | None:
    """A payload as JSON in UTF-8, if its content type says JSON and it is JSON in the encoding that
    is declared; else None."""
    if content_type is None or not is_json_content(content_type):
        return None
    text = json_in_utf8(content_type, body)
    try:
        return text if text and check_json(text, content_type) else None
    except InvalidEvent:
        return None


def check_version(version: object) -> None:
    """Raises InvalidEvent unless the version is 1.0."""
    if version is None:
        raise InvalidEvent("invalid", "specversion is missing")
    if version != "1.0":
        shown = repr(version)[:32]
        raise InvalidEvent("unsupported", f"specversion is {shown}; this gateway accepts 1.0")


def decode_value(name: str, raw: msgspec.Raw) -> object:
    """The decoded value of a member. Raises InvalidEvent."""
    try:
        return _value.decode(raw)
    except UNREADABLE as error:
        raise InvalidEvent("invalid", f"{name[:64]} cannot be decoded: {error}") from None


def why_unreadable(body: bytes, error: Exception) -> str:
    """Why a body is not JSON, as text for users."""
    if body.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark, which JSON does not allow (RFC 8259, 8.1)"
    return str(error)
