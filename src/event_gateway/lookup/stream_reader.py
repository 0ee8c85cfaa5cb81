"""Reads one stream of the log backwards, for a page of a list of events."""

import math
from collections.abc import AsyncIterator, Iterable

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.log_search import count_from, filters_for
from event_gateway.broker.named_streams import seq_before
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.matching.pattern import takes
from event_gateway.lookup.backward_reading import BackwardReading
from event_gateway.lookup.finder import MaySee, decoded
from event_gateway.lookup.log_state import LogState
from event_gateway.lookup.page_budget import PageBudget
from event_gateway.lookup.read_events import read_events
from event_gateway.state.event_index import EventIndex
from event_gateway.state.index_entries import DAY, SOURCE, SUBJECT, SequenceSpan

PASSAGE = 500  # messages that are read backwards at a time
LEAST = 16  # messages that are read at a time at first
LEAST_PATIENCE = 0.1  # seconds for which a page whose time is over waits for NATS
DENSE = 20  # one message in DENSE must fit, for reading to go on rather than the index
GROUP = 64  # sequences that are read at a time where the index says


class EventQuery(msgspec.Struct, frozen=True):
    """What is listed: a pattern of types, a source, a subject (None: any), and from when until
    before when the log has stored it, in seconds since the epoch."""

    type: str | None = None
    source: str | None = None
    subject: str | None = None
    since: float | None = None
    until: float | None = None

    def fits(self, received: Received) -> bool:
        """Whether an event is one of those."""
        event = received.event
        return (
            (self.source is None or event.source == self.source)
            and (self.subject is None or event.subject == self.subject)
            and (self.type is None or takes(self.type, event.type))
            and (self.since is None or received.time >= self.since)
            and (self.until is None or received.time < self.until)
        )

    @property
    def indexed(self) -> tuple[bytes, str] | None:
        """What the index of events is asked for; None: it cannot help."""
        if self.subject is not None:
            return SUBJECT, self.subject
        return None if self.source is None else (SOURCE, self.source)


class StreamReader:
    """Reads one stream backwards, in steps, for a page. ``low``: the first sequence that may be
    wanted; ``high``: the one behind the last; ``before``: up to before this one it will read;
    ``begun``: it has read something."""

    def __init__(
        self,
        broker: Broker,
        log: LogReader,
        index: EventIndex,
        state: LogState,
        *,
        wanted: EventQuery,
        may_see: MaySee,
        budget: PageBudget,
        low: int,
        high: int,
        before: int,
    ) -> None:
        self._broker = broker
        self._log = log
        self._index = index
        self._state = state
        self._wanted = wanted
        self._may_see = may_see
        self._budget = budget
        self._subjects = [] if wanted.type is None else filters_for(log_subjects(wanted.type))
        self._ready: list[Received] = []  # the newest last
        self._reading = BackwardReading(broker, state.stream, self._subjects)
        self._searching: AsyncIterator[None] | None = None  # by the index
        self._size = 0  # messages of the next passage
        self._oldest_read = math.inf
        self.stream = state.stream
        self.begun = False
        self.low = low
        self.high = high
        self.before = before

    @property
    def newest(self) -> float | None:
        """The time of the next event; None where none is ready."""
        return self._ready[-1].time if self._ready else None

    @property
    def slow(self) -> bool:
        """Whether NATS did not find the wanted types in time."""
        return self._reading.slow

    @property
    def done(self) -> bool:
        """Whether nothing is left to read."""
        return self.before <= self.low

    @property
    def unread_time(self) -> float:
        """What is left to read is at most so new."""
        return self._oldest_read

    @property
    def position(self) -> int:
        """Before which sequence the next page begins."""
        return self._ready[-1].seq + 1 if self._ready else max(self.before, self.low)

    def pop(self) -> Received:
        """The next event."""
        return self._ready.pop()

    def push(self, received: Received) -> None:
        """Gives an event back."""
        self._ready.append(received)

    async def count(self) -> int:
        """How many events of the whole list there may be, as JetStream counts them: by their types
        and times."""
        span = max(0, min(self.high - self.low, self._state.messages))
        until_now = self.high > self._state.last
        if not span or (not self._subjects and self.low <= self._state.first and until_now):
            return span
        counted = await count_from(self._broker, self.stream, self.low, self._subjects)
        if not until_now:
            counted -= await count_from(self._broker, self.stream, self.high, self._subjects)
        return max(0, min(span, counted))

    async def step(self, count: int) -> None:
        """Reads a passage, or events that the index names; ``count`` are wanted. After it nothing
        may be ready, and something be left to read."""
        if self._searching is None:
            await self._read_passage(count)
            return
        try:
            await anext(self._searching)
        except StopAsyncIteration:
            self._searching = None

    async def _read_passage(self, count: int) -> None:
        if not self._size:
            self._size = PASSAGE if self._wanted.indexed else min(max(count, LEAST), PASSAGE)
        passage = await self._reading.back_at_once(
            self.before, self.low, self._size, max(self._budget.left, LEAST_PATIENCE)
        )
        if passage is None:
            self._budget.wait_for_nats()
            return
        messages = passage.messages
        found = self._select(decoded(self.stream, messages))
        self._take(found, len(messages), messages[0].time if messages else None)
        self.before = passage.begin
        self.begun = True
        self._size = min(2 * self._size, PASSAGE)
        index_from = max(self._state.indexed, self._state.first)
        sparse = len(found) * DENSE < len(messages)
        if sparse and self._wanted.indexed is not None and self._is_indexed(index_from):
            self._searching = self._by_index(index_from)

    def _is_indexed(self, index_from: int) -> bool:
        """Whether the index has all events from there up to where this reader is: what the router
        has not settled may be missing."""
        return index_from < self.before <= self._state.settled + 1

    async def _by_index(self, index_from: int) -> AsyncIterator[None]:
        """Reads where the index says, back to where it begins, a group of events at a step."""
        assert self._wanted.indexed is not None
        kind, text = self._wanted.indexed
        floor = max(self.low, index_from)
        for day in self._days():
            if self._budget.left <= 0:
                # The next page need not ask for the days again that had nothing.
                begin = await seq_before(self._broker, self.stream, (day + 1) * DAY) + 1
                self.before = max(floor, min(self.before, begin))
                yield
            spans = await self._index.find(self.stream, kind, text, (day,))
            # A day's first events may have been stored before the day before's last ones.
            for group in _groups(spans, floor, self.before):
                events = await read_events(self._log, self.stream, group)
                self._take(self._select(events), len(group), events[0].time if events else None)
                self.before = group[0]
                yield
            self._oldest_read = min(self._oldest_read, float(day * DAY))
        self.before = max(self.low, min(self.before, index_from))

    def _days(self) -> Iterable[int]:
        """The days of which something may be unread, the newest first."""
        for day in self._state.days:
            if day * DAY <= self._oldest_read + DAY:
                yield day

    def _select(self, events: Iterable[Received]) -> list[Received]:
        return [each for each in events if self._wanted.fits(each) and self._may_see(each)]

    def _take(self, found: list[Received], read: int, oldest: float | None) -> None:
        """Notes older events than those that are ready, in their order."""
        self._ready[:0] = found
        self._budget.note(max(read, 1))
        if oldest is not None:
            self._oldest_read = oldest


def _groups(spans: Iterable[SequenceSpan], floor: int, before: int) -> Iterable[list[int]]:
    """The sequences of spans from ``floor`` to before ``before``, the newest group first; within a
    group they ascend."""
    group: list[int] = []
    last = before
    for span in sorted(spans, reverse=True):
        for seq in range(min(span.last, last - 1), max(span.first, floor) - 1, -1):
            group.append(seq)
            last = seq
            if len(group) == GROUP:
                yield group[::-1]
                group = []
    if group:
        yield group[::-1]
