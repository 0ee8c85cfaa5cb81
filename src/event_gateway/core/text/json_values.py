"""Checks that a JSON value can be stored and returned unchanged, and that it is not too large."""

import math
from typing import Any

from event_gateway.core.errors import InvalidDefinition

MAX_DEPTH = 128  # of registered values; beyond some 250 they could not be encoded
MAX_ENTRIES = 1000  # of one list, and members of one object, in a definition
MAX_VALUES = 50_000  # in a definition: list entries and members of all its objects

INTEGERS = range(-(2**63), 2**64)  # what JSON decoders read without loss of digits


def check_plain(value: Any, key: str = "", *, max_depth: int = MAX_DEPTH) -> None:
    """Raises InvalidDefinition, with a key below ``key``, where a value would not come back
    unchanged: NaN, an integer of over 64 bits, half of a surrogate pair, or too deep nesting."""
    wrong = _not_plain(value, max_depth)
    if wrong is not None:
        raise InvalidDefinition(_key(key, wrong[0]), wrong[1])


def check_bounds(value: Any, key: str = "") -> None:
    """Raises InvalidDefinition, with a key below ``key``, where a list or an object has more than
    MAX_ENTRIES entries, or where there are more than MAX_VALUES in all."""
    left = MAX_VALUES
    # The path of a value is written only if it is wrong: a long name would be copied many times.
    containers: list[tuple[Any, tuple[Any, ...]]] = [(value, ())]
    while containers:
        container, path = containers.pop()
        if not isinstance(container, (dict, list)):
            continue
        if len(container) > MAX_ENTRIES:
            raise InvalidDefinition(
                _key(key, _steps(path)), f"has {len(container)} entries; at most {MAX_ENTRIES}"
            )
        left -= len(container)
        if left < 0:
            raise InvalidDefinition(key, f"has more than {MAX_VALUES} values in all")
        entries = container.items() if isinstance(container, dict) else enumerate(container)
        containers += [
            (entry, (path, step)) for step, entry in entries if isinstance(entry, (dict, list))
        ]


def _steps(path: tuple[Any, ...]) -> list[str | int]:
    """The steps of a path ``((), "a"), 0``, the last step first."""
    steps = []
    while path:
        path, step = path
        steps.append(step)
    return steps


def _not_plain(value: Any, depth_left: int) -> tuple[list[str | int], str] | None:
    """What is wrong with a value, and the steps to it, the last step first; None if it is plain."""
    if isinstance(value, str):
        return None if _is_text(value) else ([], "contains a code point that is not a character")
    if isinstance(value, float):
        return None if math.isfinite(value) else ([], "must be a finite number")
    if isinstance(value, int):
        return None if value in INTEGERS else ([], "is an integer of more than 64 bits")
    if not isinstance(value, (dict, list)):
        return None
    if depth_left <= 0:
        return [], "is nested too deep"
    if isinstance(value, list):
        for position, entry in enumerate(value):
            wrong = _not_plain(entry, depth_left - 1)
            if wrong is not None:
                wrong[0].append(position)
                return wrong
        return None
    for name, member in value.items():
        if not _is_text(str(name)):
            return [], "contains a code point that is not a character"
        wrong = _not_plain(member, depth_left - 1)
        if wrong is not None:
            wrong[0].append(str(name))
            return wrong
    return None


def _is_text(value: str) -> bool:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def _key(key: str, steps: list[str | int]) -> str:
    for step in reversed(steps):
        if len(key) > 200:
            break
        key += f"[{step}]" if isinstance(step, int) else f".{step[:200]}" if key else step[:200]
    return key[:200]
