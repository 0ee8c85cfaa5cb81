"""Checks that a JSON value can be stored and returned unchanged."""

import math
from typing import Any

from event_gateway.core.errors import InvalidDefinition

MAX_DEPTH = 128  # of registered values; beyond some 250 they could not be encoded


def check_plain(value: Any, key: str = "", depth: int = 0) -> None:
    """Raises InvalidDefinition, with a key below ``key``, where a value would not come back
    unchanged: NaN, an integer of over 64 bits, half of a surrogate pair, or too deep nesting."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidDefinition(key, "contains a code point that is not a character")
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
            for position, entry in enumerate(value):
                check_plain(entry, f"{key}[{position}]", depth + 1)
        else:
            for name, member in value.items():
                check_plain(str(name), key, depth + 1)
                check_plain(member, f"{key}.{name}" if key else str(name), depth + 1)
