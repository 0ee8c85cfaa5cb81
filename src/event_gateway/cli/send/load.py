"""A load by hand: a template, many times."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from event_gateway.cli.send.event_text import Event, with_counters

PORTION = 500  # events made at a time


class Load:
    """Makes ``count`` events of a template."""

    name = "the template"

    def __init__(self, template: bytes, count: int) -> None:
        self._template = template
        self.size: int | None = count
        self.read = 0

    async def events(self) -> AsyncIterator[list[Event]]:
        """The events with their numbers, in portions."""
        texts: Iterator[Event] = enumerate(with_counters(self._template, self.size or 0), 1)
        while portion := list(islice(texts, PORTION)):
            self.read = portion[-1][0]
            yield portion
