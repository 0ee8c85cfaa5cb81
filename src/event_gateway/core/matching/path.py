"""Paths into an event: an attribute, or ``data.a[0].b``, where ``[*]`` is any element."""

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from event_gateway.core.cloudevents.event import CORE_ATTRIBUTES, Received
from event_gateway.core.errors import InvalidDefinition

MAX_PATH = 256  # characters
MAX_STEPS = 32
MAX_ANY = 3  # [*] in one path
MAX_VALUES = 10_000  # of one path in one event; further values are ignored

ANY: Final = msgspec.UNSET  # the step for [*]

_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]"']+)|\[(?P<index>\d{1,9})\]|\[(?P<any>\*)\]"""
    r"""|\["(?P<double>[^"]*)"\]|\['(?P<single>[^']*)'\]"""
)

Step = str | int | msgspec.UnsetType


class Path:
    """A parsed path. Equal texts give the same Path.

    ``attribute``: the name of an attribute, or None for a path into the data. ``many``: the path
    contains ``[*]`` and may lead to several values.
    """

    __slots__ = ("attribute", "many", "steps", "text")

    def __init__(self, text: str, attribute: str | None, steps: tuple[Step, ...]) -> None:
        self.text = text
        self.attribute = attribute
        self.steps = steps
        self.many = ANY in steps

    def value(self, received: Received) -> Any:
        """The value at the path; msgspec.UNSET where it is missing (null is a value).

        Only for a path that is not ``many``.
        """
        if self.attribute is not None:
            value = received.event.attribute(self.attribute)
            return msgspec.UNSET if value is None else value
        at = received.payload()
        for step in self.steps:
            at = member_of(at, step)
            if at is msgspec.UNSET:
                return at
        return at

    def values(self, received: Received) -> list[Any]:
        """The values at the path, at most MAX_VALUES; empty where it is missing."""
        if not self.many:
            value = self.value(received)
            return [] if value is msgspec.UNSET else [value]
        values = [received.payload()]
        for step in self.steps:
            if step is ANY:
                values = [
                    item
                    for value in values
                    if isinstance(value, list)
                    for item in value[:MAX_VALUES]
                ]
            else:
                values = [
                    member
                    for value in values
                    if (member := member_of(value, step)) is not msgspec.UNSET
                ]
            if not values:
                break
            del values[MAX_VALUES:]
        return values


def member_of(at: Any, step: Any) -> Any:
    """The member or element that a step (not ANY) leads to; msgspec.UNSET where it is missing."""
    if isinstance(at, dict):
        return at.get(step, msgspec.UNSET) if isinstance(step, str) else msgspec.UNSET
    if isinstance(at, list):
        if isinstance(step, str):
            if not (step.isascii() and step.isdecimal() and len(step) < 10):
                return msgspec.UNSET
            step = int(step)
        return at[step] if step < len(at) else msgspec.UNSET
    return msgspec.UNSET


def parse_path(text: str, key: str) -> Path:
    """The path of a text. Raises InvalidDefinition with this key where it is not a path."""
    try:
        return path_of(text)
    except ValueError as error:
        raise InvalidDefinition(key, str(error)) from None


@lru_cache(maxsize=65536)
def path_of(text: str) -> Path:
    """The path of a text. Raises ValueError, which says what is wrong."""
    if len(text) > MAX_PATH:
        raise ValueError(f"a path has at most {MAX_PATH} characters")
    if text != "data" and not text.startswith(("data.", "data[")):
        if _ATTRIBUTE.fullmatch(text) is None:
            raise ValueError(
                f"{text!r}: a field is an attribute ({', '.join(sorted(CORE_ATTRIBUTES))}), an "
                "extension (only a-z and 0-9), or begins with 'data.'"
            )
        return Path(text, text, ())
    steps: list[Step] = []
    at = len("data")
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"{text!r} is not a path: after {text[:at]!r} write .name, [0], [*] "
                             'or ["name"]')  # fmt: skip
        if match["any"]:
            steps.append(ANY)
        elif match["index"]:
            steps.append(int(match["index"]))
        else:
            steps.append(next(name for name in match.group("name", "double", "single")
                              if name is not None))  # fmt: skip
        at = match.end()
    if len(steps) > MAX_STEPS or steps.count(ANY) > MAX_ANY:
        raise ValueError(f"{text!r}: a path has at most {MAX_STEPS} steps, {MAX_ANY} of them [*]")
    return Path(text, None, tuple(steps))
