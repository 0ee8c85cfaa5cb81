"""The values in a template: how they are written as text, measured, and changed by filters."""

from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import decoded

OMIT = object()  # the value of a place that is to be left out
encode = msgspec.json.Encoder().encode


def measured(value: Any) -> tuple[int, Any]:
    """How many bytes a value takes at least, and the value; what is large is encoded by now."""
    if isinstance(value, str):
        return len(value), value
    if isinstance(value, (dict, list)):
        value = msgspec.Raw(encode(value))
    return len(value) if isinstance(value, msgspec.Raw) else 0, value


def parsed(value: Any) -> Any:
    """A value of which only the JSON text is known, as Python values."""
    return decoded(bytes(value)) if isinstance(value, msgspec.Raw) else value


def as_text(value: Any) -> str:
    """A value within a text: texts as they are, nothing for null, all else as JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is OMIT:
        return ""
    return encode(value).decode()


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            found = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return None
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


FILTERS: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: None if value is None else as_text(value),
    "number": _number,
    "json": lambda value: encode(value).decode(),
    "upper": lambda value: value.upper() if isinstance(value, str) else value,
    "lower": lambda value: value.lower() if isinstance(value, str) else value,
}
