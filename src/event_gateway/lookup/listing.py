"""Lists events by type, source, subject and time, the newest first, page by page.

A type is a subject of the log, which JetStream counts without reading. Sources and subjects are
read backwards while many of the events read have them; where few have, the index says where.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Iterable, Sequence

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.failures import failure
from event_gateway.broker.log_search import UNREADABLE, count_from, filters_for
from event_gateway.broker.named_streams import seq_before
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.matching.pattern import takes
from event_gateway.lookup.finder import MaySee, decoded
from event_gateway.lookup.log_state import LogState, LogStates
from event_gateway.lookup.patient_reading import PATIENCE, PatientReading
from event_gateway.state.event_index import EventIndex
from event_gateway.state.index_entries import DAY, SOURCE, SUBJECT, Span

MAX_READ = 20_000  # messages that one page may read
LONGEST = 2.0  # seconds for which a page is read
MAX_BYTES = 8 * 1024 * 1024  # of the events on a page
PASSAGE = 500  # messages that are read backwards at a time
LEAST = 16  # messages that are read at a time at first
DENSE = 20  # of which one in so many must fit, for reading to go on rather than the index
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


class EventPosition(msgspec.Struct, frozen=True, array_like=True):
    """Up to before which sequence of a stream the pages so far have listed; 0: to its begin."""

    stream: str
    before: int


class ListedEvents(msgspec.Struct, frozen=True):
    """A page. ``next``: where the next one begins; None: this is the last. ``read``: how many
    messages were read for it. ``total``: so many messages are of the wanted types and times, None:
    counting would take too long; where this is the only page, so many events are on it. ``slow``:
    NATS did not find the wanted types in time, so messages of all types were read.
    ``unsearched``: the page has fewer events than it may, as the search for them has ended; of what
    the log stored before this time nothing was looked at. None: it has what there is."""

    events: list[Received]
    next: list[EventPosition] | None
    read: int
    total: int | None
    slow: bool = False
    unsearched: float | None = None


class EventList:
    """Lists events."""

    def __init__(self, broker: Broker, log: EventLog, index: EventIndex, states: LogStates) -> None:
        self._broker = broker
        self._log = log
        self._index = index
        self._states = states

    async def page(
        self, wanted: EventQuery, limit: int, after: Sequence[EventPosition] | None, may_see: MaySee
    ) -> ListedEvents:
        """At most ``limit`` events. A page that has read :data:`MAX_READ` messages, or for
        :data:`LONGEST`, may have fewer, or none, and be followed by another. Raises LogUnavailable,
        and the exceptions in StateError."""
        states = await self._states.of(wanted.type)
        former = {position.stream: position.before for position in after or ()}
        readers: list[_Reader] = []
        try:
            for state in states:
                low, high = await self._bounds(state, wanted)
                reader = _Reader(self._broker, self._log, self._index, state, wanted, may_see)
                reader.low, reader.high = low, high
                reader.before = min(high, former.get(state.stream, high))
                reader.budget = MAX_READ // len(states)
                reader.until = time.monotonic() + LONGEST
                readers.append(reader)
            listed = await _merge(readers, limit)
            if after is None and listed.next is None:
                return listed
            slow = any(reader.slow for reader in readers)
            total = None if slow else await _total(readers)
            return msgspec.structs.replace(listed, total=total, slow=slow)
        except UNREADABLE as error:
            raise failure(self._broker, error) from None

    async def _bounds(self, state: LogState, wanted: EventQuery) -> tuple[int, int]:
        """The first sequence of a stream that may be wanted, and the one behind the last."""
        low, high = state.first, state.last + 1
        if state.first_time is None or state.last_time is None:
            return low, low
        if wanted.since is not None and wanted.since > state.first_time:
            low = max(low, await seq_before(self._broker, state.stream, wanted.since) + 1)
        if wanted.until is not None and wanted.until <= state.last_time:
            high = min(high, await seq_before(self._broker, state.stream, wanted.until) + 1)
        return low, high


async def _total(readers: Sequence["_Reader"]) -> int | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return sum([await reader.count() for reader in readers])
    except TimeoutError:
        return None


async def _merge(readers: Sequence["_Reader"], limit: int) -> ListedEvents:
    """The newest events of several streams. An event is on the page only once every other stream
    is known to have no newer one."""
    events: list[Received] = []
    size = 0
    for reader in readers:
        await reader.fill(limit)
    heap = [(-reader.newest, n) for n, reader in enumerate(readers) if reader.newest is not None]
    heapq.heapify(heap)
    # What a stream has left to read could be newer than the others' events.
    stopped = max((r.unread_time for r in readers if r.exhausted), default=0.0)
    while heap and len(events) < limit:
        newest, number = heapq.heappop(heap)
        reader = readers[number]
        if -newest < stopped:
            break
        received = reader.pop()
        size += len(received.event.data)
        if events and size > MAX_BYTES:
            reader.push(received)
            break
        events.append(received)
        if reader.newest is not None:
            heapq.heappush(heap, (-reader.newest, number))
        elif not reader.done and len(events) < limit:
            await reader.fill(limit - len(events))
            if reader.newest is not None:
                heapq.heappush(heap, (-reader.newest, number))
            elif reader.exhausted:
                stopped = max(stopped, reader.unread_time)
    more = [EventPosition(reader.stream, reader.position) for reader in readers]
    left = any(reader.newest is not None or not reader.done for reader in readers)
    read = sum(reader.read for reader in readers)
    unread = [reader.unread_time for reader in readers if reader.exhausted]
    unsearched = max(unread) if unread and len(events) < limit else None
    return ListedEvents(events, more if left else None, read, len(events), unsearched=unsearched)


class _Reader:
    """Reads one stream backwards for a page."""

    def __init__(
        self, broker: Broker, log: EventLog, index: EventIndex, state: LogState, wanted: EventQuery,
        may_see: MaySee,
    ) -> None:  # fmt: skip
        self._broker = broker
        self._log = log
        self._index = index
        self._state = state
        self._wanted = wanted
        self._may_see = may_see
        self._subjects = [] if wanted.type is None else filters_for(log_subjects(wanted.type))
        self._ready: list[Received] = []  # the newest last
        self._reading = PatientReading(broker, state.stream, self._subjects)
        self.stream = state.stream
        self._size = 0  # bytes of what was made ready
        self._oldest_read = math.inf
        self.low = 0
        self.high = 0
        self.before = 0
        self.budget = 0
        self.until = 0.0  # on the monotonic clock
        self.read = 0

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
    def exhausted(self) -> bool:
        """Whether it has read as much as it may, and something is left."""
        return not self._ready and not self.done and self._spent

    @property
    def _spent(self) -> bool:
        return self.read >= self.budget or (self.read > 0 and time.monotonic() >= self.until)

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

    async def fill(self, count: int) -> None:
        """Reads until ``count`` events are ready, nothing is left, or budget or time are spent."""
        index_from = max(self._state.indexed, self._state.first)
        size = PASSAGE if self._wanted.indexed else min(max(count, LEAST), PASSAGE)
        while not (self._has(count) or self.done or self._spent):
            waited_for_nats = self.slow
            passage = await self._reading.back(self.before, self.low, size)
            if self.slow and not waited_for_nats:
                self.until += PATIENCE
            messages = passage.messages
            found = self._select(decoded(self.stream, messages))
            self._take(found, len(messages), messages[0].time if messages else None)
            self.before = passage.begin
            size = min(2 * size, PASSAGE)
            sparse = len(found) * DENSE < len(messages)
            if sparse and self._wanted.indexed is not None and self._is_indexed(index_from):
                await self._by_index(count, index_from)

    def _is_indexed(self, index_from: int) -> bool:
        """Whether the index has all events from there up to where this reader is: what the router
        has not settled may be missing."""
        return index_from < self.before <= self._state.settled + 1

    async def _by_index(self, count: int, index_from: int) -> None:
        """Reads where the index says, back to where it begins."""
        assert self._wanted.indexed is not None
        kind, text = self._wanted.indexed
        for day in self._days():
            spans = await self._index.find(self.stream, kind, text, (day,))
            floor = max(self.low, index_from)
            # A day's first events may have been stored before the day before's last ones.
            for group in _groups(spans, floor, self.before):
                results = await self._log.read_many(self.stream, group)
                events = [result for result in results if isinstance(result, Received)]
                self._take(self._select(events), len(group), events[0].time if events else None)
                self.before = group[0]
                if self._has(count) or self._spent:
                    return
        self.before = max(self.low, min(self.before, index_from))

    def _has(self, count: int) -> bool:
        """Whether so many events are ready, or as much as a page may have."""
        return len(self._ready) >= count or self._size > MAX_BYTES

    def _days(self) -> Iterable[int]:
        until = self._wanted.until
        for day in self._state.days:
            if until is None or day * DAY <= until:
                yield day

    def _select(self, events: Iterable[Received]) -> list[Received]:
        return [each for each in events if self._wanted.fits(each) and self._may_see(each)]

    def _take(self, found: list[Received], read: int, oldest: float | None) -> None:
        """Notes older events than those that are ready, in their order."""
        self._ready[:0] = found
        self._size += sum(len(received.event.data) for received in found)
        self.read += max(read, 1)
        if oldest is not None:
            self._oldest_read = oldest


def _groups(spans: Iterable[Span], floor: int, before: int) -> Iterable[list[int]]:
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
