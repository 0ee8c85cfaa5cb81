"""One rendering of a template: the event, the item of a repetition, and the bytes that are left."""

from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.matching.path import ANY, Step, member_of
from event_gateway.core.transformation.definition import (
    MAX_OUTPUT,
    TransformationError,
    payload_of,
)

NODE = 16  # bytes that each value counts at least, however short it is: this bounds the work


class Scope:
    """One rendering: the event, the item at hand, and how many bytes there is room for."""

    __slots__ = ("_data", "event", "item", "room")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._data: tuple[Any] | None = None
        self.item: Any = msgspec.UNSET
        self.room = MAX_OUTPUT

    def spend(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise TransformationError(f"makes more than {MAX_OUTPUT} bytes")

    def data(self) -> Any:
        """The payload; UNSET where there is none that JSON's ``data`` would hold."""
        if self._data is None:
            event = self.event
            binary = event.kind in (DataKind.BINARY, DataKind.NONE)
            self._data = (msgspec.UNSET if binary else payload_of(event),)
        return self._data[0]

    def follow(self, at: Any, steps: tuple[Step, ...]) -> Any:
        """What is there, behind ``[*]`` a list of all that is; UNSET where nothing is."""
        for position, step in enumerate(steps):
            if step is ANY:
                return self._all(at, steps[position:])
            at = member_of(at, step)
            if at is msgspec.UNSET:
                break
        return at

    def _all(self, at: Any, steps: tuple[Step, ...]) -> Any:
        if not isinstance(at, list):
            return msgspec.UNSET
        found = [at]
        for step in steps:
            if step is ANY:
                lists = [one for one in found if isinstance(one, list)]
                self.spend(NODE * sum(map(len, lists)))  # it bounds the work
                found = [one for many in lists for one in many]
            else:
                found = [one for at in found if (one := member_of(at, step)) is not msgspec.UNSET]
        return found
