"""The state of one rendering of a template, and the limit of its work."""

from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.matching.path import ANY, Step, member_of
from event_gateway.core.transformation.definition import MAX_OUTPUT, TransformationError
from event_gateway.core.transformation.template_values import opened, scalar

NODE = 16  # bytes that each value counts at least, so that the number of values is limited too


class Rendering:
    """One rendering: the event, the current ``item`` of a repetition, and the bytes of output that
    are left (``room``)."""

    __slots__ = ("_opened", "data", "event", "item", "room")

    def __init__(self, event: Event) -> None:
        self.event = event
        # The payload: JSON text, or text; UNSET if there is none, or if it is binary.
        self.data: Any = msgspec.UNSET
        if event.kind is DataKind.JSON:
            self.data = msgspec.Raw(event.data)
        elif event.kind is DataKind.TEXT:
            self.data = event.data.decode()
        # By the identity of a JSON text: the text, and the object or list that it is.
        self._opened: dict[int, tuple[msgspec.Raw, Any]] = {}
        self.item: Any = msgspec.UNSET
        self.room = MAX_OUTPUT

    def spend(self, size: int) -> None:
        """Counts bytes of output. Raises TransformationError if there is no room for them."""
        self.room -= size
        if self.room < 0:
            raise TransformationError(f"makes more than {MAX_OUTPUT} bytes")

    def container(self, value: Any) -> Any:
        """The object or list that a value is; the value if it is neither. Each is decoded once, and
        only one level deep."""
        if not isinstance(value, msgspec.Raw):
            return value
        known = self._opened.get(id(value))
        if known is None:
            known = self._opened[id(value)] = (value, opened(value))
        return known[1]

    def follow(self, value: Any, steps: tuple[Step, ...]) -> Any:
        """The value at the end of a path from ``value``; with ``[*]`` in the path the list of all
        such values; UNSET if there is none."""
        for position, step in enumerate(steps):
            if step is ANY:
                return self._all(value, steps[position:])
            value = member_of(self.container(value), step)
            if value is msgspec.UNSET:
                break
        return scalar(value)

    def _all(self, value: Any, steps: tuple[Step, ...]) -> Any:
        value = self.container(value)
        if not isinstance(value, list):
            return msgspec.UNSET
        values = [value]
        for step in steps:
            if step is ANY:
                opened_values = [self.container(value) for value in values]
                lists = [value for value in opened_values if isinstance(value, list)]
                self.spend(NODE * sum(map(len, lists)))  # limits the work
                values = [item for items in lists for item in items]
            else:
                values = [
                    member
                    for value in values
                    if (member := member_of(self.container(value), step)) is not msgspec.UNSET
                ]
        return values
