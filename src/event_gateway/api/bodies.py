"""Bodies of requests: what is asked for, or what is wrong with it."""

import re
from typing import Any, TypeVar

import msgspec

from event_gateway.core.errors import InvalidDefinition

T = TypeVar("T")
_AT = re.compile(r"^(.*) - at `\$\.?(.*)`$")


def body_as(kind: type[T], body: Any) -> T:
    """A body as a struct. Raises InvalidDefinition with the key that is wrong."""
    try:
        msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise InvalidDefinition("", "holds a code point that is no character") from None
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        key, detail = (found[2], found[1]) if found else ("", str(error))
        raise InvalidDefinition(key, detail.replace("`", "")) from None
