"""The values in a template: their text, their size, and the filters that change them.

A value of the event's data is JSON text (``msgspec.Raw``), except for strings, booleans and null.
So what a template passes on is copied: a number keeps its digits.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from event_gateway.core.transformation.definition import TransformationError

OMIT = object()  # the value of a placeholder that is to be left out
encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode


def opened(raw: msgspec.Raw) -> Any:
    """The object or list in JSON text, whose members are still JSON text; UNSET for other JSON, or
    if it is nested too deep. Raises TransformationError for half of a surrogate pair."""
    text = bytes(raw).lstrip()
    try:
        if text[:1] == b"{":
            return _members(text)
        return _entries(text) if text[:1] == b"[" else msgspec.UNSET
    except RecursionError:
        return msgspec.UNSET
    except msgspec.DecodeError:
        raise TransformationError(
            "the data contains a code point that is not a character"
        ) from None


def scalar(value: Any) -> Any:
    """The value; decoded if it is the JSON text of a string, a boolean or null."""
    if isinstance(value, msgspec.Raw) and (text := bytes(value).strip())[:1] in b'"tfn':
        return msgspec.json.decode(text)
    return value


def measure(value: Any) -> tuple[int, Any]:
    """The least number of bytes of a value in JSON, and the value; objects and lists encoded."""
    if isinstance(value, str):
        return len(value), value
    if isinstance(value, (dict, list)):
        value = msgspec.Raw(encode(value))
    return len(value) if isinstance(value, msgspec.Raw) else 0, value


def as_text(value: Any) -> str:
    """The text of a value within a string: strings unchanged, null empty, all else as JSON without
    white space."""
    if isinstance(value, str):
        return value
    if value is None or value is OMIT:
        return ""
    return _compact(value).decode()


def _compact(value: Any) -> bytes:
    return msgspec.json.format(
        bytes(value) if isinstance(value, msgspec.Raw) else encode(value), indent=-1
    )


def _number(value: Any) -> Any:
    """A number as it is, or the number that a string is, with its digits; else None."""
    text = value.strip().encode() if isinstance(value, str) else value
    if isinstance(text, (bytes, msgspec.Raw)):
        try:
            is_number = bytes(text)[:1] in b"-0123456789" and msgspec.json.decode(
                text, type=msgspec.Raw
            )
        except msgspec.DecodeError:
            return None
        return msgspec.Raw(bytes(text)) if is_number else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


FILTERS: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: None if value is None else as_text(value),
    "number": _number,
    "json": lambda value: _compact(value).decode(),
    "upper": lambda value: value.upper() if isinstance(value, str) else value,
    "lower": lambda value: value.lower() if isinstance(value, str) else value,
    # %20 and not + for a space, and %2F for a slash: right in a form, a query and a path segment.
    "urlencode": lambda value: None if value is None else quote(as_text(value), safe=""),
}
