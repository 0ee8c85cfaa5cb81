"""The values in a template: their text, their size, and the filters that change them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from event_gateway.core.cloudevents.event import decoded

OMIT = object()  # the value of a placeholder that is to be left out
encode = msgspec.json.Encoder().encode


def measure(value: Any) -> tuple[int, Any]:
    """The least number of bytes of a value in JSON, and the value; objects and lists encoded."""
    if isinstance(value, str):
        return len(value), value
    if isinstance(value, (dict, list)):
        value = msgspec.Raw(encode(value))
    return len(value) if isinstance(value, msgspec.Raw) else 0, value


def decode_raw(value: Any) -> Any:
    """The value, decoded if it is raw JSON."""
    return decoded(bytes(value)) if isinstance(value, msgspec.Raw) else value


def as_text(value: Any) -> str:
    """The text of a value within a string: strings unchanged, null empty, all else as JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is OMIT:
        return ""
    return encode(value).decode()


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


FILTERS: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: None if value is None else as_text(value),
    "number": _number,
    "json": lambda value: encode(value).decode(),
    "upper": lambda value: value.upper() if isinstance(value, str) else value,
    "lower": lambda value: value.lower() if isinstance(value, str) else value,
    # %20 and not + for a space, and %2F for a slash: right in a form, a query and a path segment.
    "urlencode": lambda value: None if value is None else quote(as_text(value), safe=""),
}
