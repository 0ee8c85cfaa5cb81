"""Finds the events of an id: by the index of events, and where that does not reach by reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import LogUnavailable, failure
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.log_search import UNREADABLE, filters_for, read_back
from event_gateway.broker.pull import Pulled
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.text.suggestion import close_matches
from event_gateway.lookup.backward_reading import BackwardReading
from event_gateway.lookup.log_state import LogState, LogStates
from event_gateway.lookup.read_events import read_events
from event_gateway.state.event_cache import DUPLICATE_WINDOW
from event_gateway.state.event_index import EventIndex
from event_gateway.state.index_entries import ID, SequenceSpan

MAX_CANDIDATES = 512  # positions that are read for an id, the latest of them
MAX_READ = 20_000  # messages that are read where the index does not reach
PASSAGE = 500  # messages that are read at a time
NEAR = 500  # latest events that are searched for an id which is not found, and for similar ones
MAX_SEARCHES = 4  # that read the log at a time in a process, as each makes consumers of its own
MAX_WAIT = 10.0  # seconds for which a search waits for its turn

SLOW = "NATS is loading where the type is, as after each start: ask again in a few seconds"

MaySee = Callable[[Received], bool]


class Found(msgspec.Struct, frozen=True):
    """An event that was found. ``repeats``: later copies in the log, published again shortly after
    under its source and id, which are not routed. ``others``: events of the same id, of other
    sources or of other times. ``indexed``: the index knows it, so the router has taken it.
    ``searched``: the states of the streams that were searched, ``state`` that of the event's."""

    received: Received
    repeats: list[Received]
    others: list[Received]
    state: LogState
    indexed: bool
    searched: Sequence[LogState]


class Searched(msgspec.Struct, frozen=True):
    """What was searched without a result: the streams; how many messages were read one by one; and
    in words what was not searched. ``near``: ids of recent events that are similar."""

    states: list[LogState]
    read: int
    left_out: list[str]
    near: list[str]


class Finder:
    """Finds events by id."""

    def __init__(
        self, broker: Broker, log: LogReader, index: EventIndex, states: LogStates
    ) -> None:
        self._broker = broker
        self._log = log
        self._index = index
        self._states = states
        self._searches = asyncio.Semaphore(MAX_SEARCHES)

    async def find(
        self,
        event_id: str,
        source: str | None,
        may_see: MaySee,
        *,
        event_type: str | None = None,
        known: Callable[[], Awaitable[Iterable[tuple[str, int]]]] | None = None,
    ) -> Found | Searched:
        """The latest event of an id, and of a source, as far as the caller may see it.

        ``event_type``: a type that it has, which makes reading faster where the index does not
        reach. ``known``: further positions at which it may be, asked for if the index has none.
        Raises LogUnavailable, also where too many searches wait that must read the log, and the
        exceptions in StateError.
        """
        states = await self._states.of(event_type)
        positions = await self._candidates(event_id, states)
        indexed = set(positions)
        positions = list(dict.fromkeys([*positions, *_own_position(event_id)]))

        def fits(received: Received) -> bool:
            event = received.event
            return event.id == event_id and (source is None or event.source == source)

        events = [each for each in await self._read(positions) if fits(each) and may_see(each)]
        if not events and known is not None:
            events = [
                each for each in await self._read([*await known()]) if fits(each) and may_see(each)
            ]
        if events:
            return _found(events, states, indexed)
        read, left_out = 0, []
        async with self._turn():
            for state in states:
                found, looked, more = await self._scan(state, fits, event_type, MAX_READ - read)
                events += [received for received in found if may_see(received)]
                read += looked
                left_out += more
            if events:
                return _found(events, states, indexed)
            recent = [each for each in await self._recent(states) if may_see(each)]
        # What the router has set aside is in no index.
        events = [each for each in recent if fits(each)]
        if events:
            return _found(events, states, indexed)
        ids = [each.event.id for each in recent]
        near = await asyncio.to_thread(close_matches, event_id, ids)
        return Searched(states, read, left_out, near)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Waits until fewer than :data:`MAX_SEARCHES` others read the log."""
        try:
            async with asyncio.timeout(MAX_WAIT):
                await self._searches.acquire()
        except TimeoutError:
            raise LogUnavailable("too many searches for events read the log at once") from None
        try:
            yield
        finally:
            self._searches.release()

    async def _candidates(self, event_id: str, states: Sequence[LogState]) -> list[tuple[str, int]]:
        positions: list[tuple[str, int]] = []
        for state in states:
            spans = await self._index.find(state.stream, ID, event_id, state.days)
            positions += [
                (state.stream, span.first)
                for span in sorted(spans, reverse=True)
                if state.first <= span.first <= state.last
            ][:MAX_CANDIDATES]
        return positions

    async def _read(self, positions: Sequence[tuple[str, int]]) -> list[Received]:
        by_stream: dict[str, list[int]] = {}
        for stream, seq in positions:
            by_stream.setdefault(stream, []).append(seq)
        events: list[Received] = []
        for stream, seqs in by_stream.items():
            events += await read_events(self._log, stream, seqs)
        return events

    async def _scan(
        self, state: LogState, fits: MaySee, event_type: str | None, budget: int
    ) -> tuple[list[Received], int, list[str]]:
        """Reads what the index may not have, the newest first, up to a first event that fits."""
        subjects = [] if event_type is None else filters_for(log_subjects(event_type))
        reading = BackwardReading(self._broker, state.stream, subjects)
        left_out: list[str] = []
        read = 0
        parts = (
            SequenceSpan(max(state.first, state.settled + 1), state.last),
            SequenceSpan(state.first, min(state.settled, state.indexed - 1)),
        )
        unindexed = "not indexed yet"
        if state.rereading:
            unindexed = "perhaps not indexed, as Redis may have lost entries and the log is reread"
        for part, what in zip(parts, ("not routed yet", unindexed), strict=True):
            before = part.last + 1
            while before > part.first:
                if read >= budget:
                    text = f"{state.stream}: events up to sequence {before - 1}, which are {what}: "
                    text += (
                        SLOW if reading.slow else "name their type, or list them by type or time"
                    )
                    left_out.append(text)
                    break
                try:
                    passage = await reading.back(before, part.first, PASSAGE)
                except UNREADABLE as error:
                    raise failure(self._broker, error) from None
                read += len(passage.messages)
                found = [each for each in decoded(state.stream, passage.messages) if fits(each)]
                if found:
                    return found, read, []
                before = passage.begin
        return [], read, left_out

    async def _recent(self, states: Sequence[LogState]) -> list[Received]:
        """The latest events of each stream."""
        recent: list[Received] = []
        for state in states:
            try:
                passage = await read_back(
                    self._broker, state.stream, before=state.last + 1, floor=state.first,
                    wanted=NEAR,
                )  # fmt: skip
            except UNREADABLE as error:
                raise failure(self._broker, error) from None
            recent += decoded(state.stream, passage.messages)
        return recent


def decoded(stream: str, messages: Iterable[Pulled]) -> list[Received]:
    """The events in messages of a stream of the log; what is no event is left out."""
    return [event for message in messages if (event := _event(stream, message)) is not None]


def _event(stream: str, message: Pulled) -> Received | None:
    try:
        return from_message(
            message.headers, message.data, subject=message.subject, stream=stream,
            seq=message.seq, time=message.time,
        )  # fmt: skip
    except Exception:  # the router has set it aside, or will
        return None


def _own_position(event_id: str) -> list[tuple[str, int]]:
    """The position that the id of a plain JSON object names."""
    stream, _, seq = event_id.rpartition("-")
    if stream == EVENTS and seq.isascii() and seq.isdigit() and 0 < len(seq) < 16:
        return [(stream, int(seq))]
    return []


def _found(
    events: list[Received], states: Sequence[LogState], indexed: set[tuple[str, int]]
) -> Found:
    """The latest event that was routed, with the copies of it and the other events."""
    events.sort(key=lambda received: (received.time, received.seq))
    routed: list[Received] = []
    copies: dict[tuple[str, int], list[Received]] = {}
    for received in events:
        first = next(
            (
                earlier
                for earlier in reversed(routed)
                if earlier.event.source == received.event.source
                and received.time - earlier.time <= DUPLICATE_WINDOW
            ),
            None,
        )
        if first is None:
            routed.append(received)
        else:
            copies.setdefault((first.stream, first.seq), []).append(received)
    latest = routed[-1]
    position = latest.stream, latest.seq
    state = next((each for each in states if each.stream == latest.stream), None)
    if state is None:  # of lifecycle events, or of a stream that is not read any more
        state = LogState(latest.stream, latest.seq, latest.seq, None, None, latest.seq,
                         latest.seq, latest.seq)  # fmt: skip
    repeats = copies.get(position, [])
    others = [each for each in events if each is not latest and each not in repeats]
    return Found(latest, repeats, others, state, position in indexed, states)
