"""What a value of JSON must be to be kept and given back as it is."""

import math
from typing import Any

from event_gateway.core.errors import InvalidDefinition

MAX_DEPTH = 128  # of what is registered; beyond some 250 no answer could be made of it


def check_plain(value: Any, key: str = "", depth: int = 0) -> None:
    """Raises InvalidDefinition, with the place below that key, where a value would not come back:
    no number, too large a one, text that is none, or nested too deep."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidDefinition(key, "holds a code point that is no character")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidDefinition(key, "must be a finite number")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InvalidDefinition(key, "is an integer of more than 64 bits")
    elif isinstance(value, (dict, list)):
        if depth >= MAX_DEPTH:
            raise InvalidDefinition(key[:200], f"is nested more than {MAX_DEPTH} deep")
        if isinstance(value, list):
            for position, one in enumerate(value):
                check_plain(one, f"{key}[{position}]", depth + 1)
        else:
            for name, one in value.items():
                check_plain(str(name), key, depth + 1)
                check_plain(one, f"{key}.{name}" if key else str(name), depth + 1)
