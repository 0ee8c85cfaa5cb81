"""Lists events by type, source, subject and time, the newest first, page by page.

A type is a subject of the log, which JetStream counts without reading. Sources and subjects are
read backwards while many of the events read have them; where few have, the index says where.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import failure
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.log_search import UNREADABLE
from event_gateway.broker.named_streams import seq_before
from event_gateway.core.cloudevents.event import Received
from event_gateway.lookup.finder import MaySee
from event_gateway.lookup.log_state import LogState, LogStates
from event_gateway.lookup.page_budget import PageBudget
from event_gateway.lookup.stream_reader import EventQuery, StreamReader
from event_gateway.state.event_index import EventIndex

MAX_READ = 20_000  # messages that one page may read
LONGEST = 2.0  # seconds for which a page is read
GRACE = 3.0  # seconds more, in which a step that has begun may end: a busy machine is no failure
COUNTING = 0.25  # seconds for the total of a page whose time is over
MAX_BYTES = 8 * 1024 * 1024  # of the events on a page


class EventPosition(msgspec.Struct, frozen=True, array_like=True):
    """Up to before which sequence of a stream the pages so far have listed; 0: to its begin."""

    stream: str
    before: int


class ListedEvents(msgspec.Struct, frozen=True):
    """A page. ``next``: where the next one begins; None: this is the last. ``read``: how many
    messages were read for it. ``total``: how many messages are of the wanted types and times; None:
    counting would take too long; where this is the only page, how many events are on it. ``slow``:
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

    def __init__(
        self, broker: Broker, log: LogReader, index: EventIndex, states: LogStates
    ) -> None:
        self._broker = broker
        self._log = log
        self._index = index
        self._states = states

    async def page(
        self, wanted: EventQuery, limit: int, after: Sequence[EventPosition] | None, may_see: MaySee
    ) -> ListedEvents:
        """At most ``limit`` events. A page that has read :data:`MAX_READ` messages, or for
        :data:`LONGEST`, may have fewer, or none, and be followed by another. Raises LogUnavailable,
        also if NATS has not answered after :data:`GRACE` more, and the exceptions in StateError."""
        budget = PageBudget(MAX_READ, LONGEST)
        former = {position.stream: position.before for position in after or ()}
        try:
            async with asyncio.timeout(budget.left + GRACE):
                states = await self._states.of(wanted.type)
                bounds = await asyncio.gather(*(self._bounds(each, wanted) for each in states))
            readers = []
            for state, (low, high) in zip(states, bounds, strict=True):
                reader = StreamReader(
                    self._broker, self._log, self._index, state,
                    wanted=wanted, may_see=may_see, budget=budget,
                    low=low, high=high, before=min(high, former.get(state.stream, high)),
                )  # fmt: skip
                readers.append(reader)
            listed = await _merge(readers, limit, budget)
            if after is None and listed.next is None:
                return listed
            slow = any(reader.slow for reader in readers)
            total = None if slow else await _total(readers, budget)
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


async def _total(readers: Sequence[StreamReader], budget: PageBudget) -> int | None:
    try:
        async with asyncio.timeout(max(budget.left, COUNTING)):
            return sum(await asyncio.gather(*(reader.count() for reader in readers)))
    except TimeoutError:
        return None


async def _merge(readers: Sequence[StreamReader], limit: int, budget: PageBudget) -> ListedEvents:
    """The newest events of several streams. An event is on the page only once every other stream
    is known to have no newer one. So each stream is read once, then always the one whose unread
    events may be the newest: none of them uses up what the others need. Raises TimeoutError if
    a stream cannot be read in time."""
    for _ in range(2):  # the second time without the subjects that NATS has not found
        async with asyncio.timeout(budget.left + GRACE):
            new = [reader for reader in readers if not (reader.begun or reader.done)]
            await asyncio.gather(*(reader.step(limit) for reader in new))
    events: list[Received] = []
    size, ended = 0, False
    while len(events) < limit and size <= MAX_BYTES:
        ready = [reader for reader in readers if reader.newest is not None]
        first = max(ready, key=lambda reader: reader.newest or 0.0, default=None)
        unread = [reader for reader in readers if reader.newest is None and not reader.done]
        behind = max(unread, key=lambda reader: reader.unread_time, default=None)
        if behind is not None and (first is None or behind.unread_time > (first.newest or 0.0)):
            if ended := budget.spent:
                break
            await _step(behind, limit - len(events), budget)
            continue
        if first is None:
            break
        others = [reader.newest or 0.0 for reader in ready if reader is not first]
        others += [reader.unread_time for reader in unread]
        until = max(others, default=0.0)
        while first.newest is not None and first.newest >= until and len(events) < limit:
            received = first.pop()
            size += len(received.event.data)
            if events and size > MAX_BYTES:
                first.push(received)
                break
            events.append(received)
    more = [EventPosition(reader.stream, reader.position) for reader in readers]
    left = any(reader.newest is not None or not reader.done for reader in readers)
    unsearched = max((reader.unread_time for reader in unread), default=0.0) if ended else None
    return ListedEvents(
        events, more if left else None, budget.read, len(events), unsearched=unsearched
    )


async def _step(reader: StreamReader, count: int, budget: PageBudget) -> None:
    """Reads on in a stream, or ends the page if NATS or Redis do not answer in time."""
    try:
        async with asyncio.timeout(budget.left + GRACE):
            await reader.step(count)
    except TimeoutError:
        budget.end()
