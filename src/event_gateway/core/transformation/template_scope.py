"""The state of one rendering of a template, and the limit of its work."""

from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.matching.path import ANY, Step, member_of
from event_gateway.core.transformation.definition import (
    MAX_OUTPUT,
    TransformationError,
    payload_of,
)

NODE = 16  # bytes that each value counts at least, so that the number of values is limited too


class Scope:
    """One rendering: the event, the current ``item`` of a repetition, and the bytes of output that
    are left (``room``)."""

    __slots__ = ("_data", "event", "item", "room")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._data: tuple[Any] | None = None
        self.item: Any = msgspec.UNSET
        self.room = MAX_OUTPUT

    def spend(self, size: int) -> None:
        """Counts bytes of output. Raises TransformationError if there is no room for them."""
        self.room -= size
        if self.room < 0:
            raise TransformationError(f"makes more than {MAX_OUTPUT} bytes")

    def data(self) -> Any:
        """The payload; UNSET if there is none, or if it is binary."""
        if self._data is None:
            event = self.event
            binary = event.kind in (DataKind.BINARY, DataKind.NONE)
            self._data = (msgspec.UNSET if binary else payload_of(event),)
        return self._data[0]

    def follow(self, value: Any, steps: tuple[Step, ...]) -> Any:
        """The value at the end of a path from ``value``; with ``[*]`` in the path the list of all
        such values; UNSET if there is none."""
        for position, step in enumerate(steps):
            if step is ANY:
                return self._all(value, steps[position:])
            value = member_of(value, step)
            if value is msgspec.UNSET:
                break
        return value

    def _all(self, value: Any, steps: tuple[Step, ...]) -> Any:
        if not isinstance(value, list):
            return msgspec.UNSET
        values = [value]
        for step in steps:
            if step is ANY:
                lists = [value for value in values if isinstance(value, list)]
                self.spend(NODE * sum(map(len, lists)))  # limits the work
                values = [item for items in lists for item in items]
            else:
                values = [
                    member
                    for value in values
                    if (member := member_of(value, step)) is not msgspec.UNSET
                ]
        return values
