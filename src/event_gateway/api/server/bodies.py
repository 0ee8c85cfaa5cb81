"""Bodies of requests: what is asked for, or what is wrong with it."""

import re
from typing import Any, TypeVar

import msgspec

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.errors import InvalidDefinition, InvalidEvent
from event_gateway.core.text.json_values import check_plain

T = TypeVar("T")
_AT = re.compile(r"^(.*) - at `\$\.?(.*)`$")


def body_as(kind: type[T], body: Any) -> T:
    """A body as a struct. Raises InvalidDefinition with the key that is wrong."""
    check_plain(body)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        key, detail = (found[2], found[1]) if found else ("", str(error))
        raise InvalidDefinition(key, detail.replace("`", "")) from None


def event_in(given: Any) -> Event:
    """The event within a body, in the JSON format. Raises InvalidDefinition, of the key event."""
    try:
        return from_structured(msgspec.json.encode(given))
    except InvalidEvent as error:
        raise InvalidDefinition("event", error.detail) from None
    except UnicodeEncodeError:
        raise InvalidDefinition("event", "holds a code point that is no character") from None
    except (RecursionError, OverflowError):
        raise InvalidDefinition(
            "event", "is nested too deep, or holds too large a number"
        ) from None
