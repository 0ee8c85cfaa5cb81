"""Causes and effects of an event: over ``causationid`` and ``correlationid``, by the index."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from event_gateway.broker.log_reader import LogReader
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.text.times import rfc3339
from event_gateway.lookup.finder import MaySee
from event_gateway.lookup.log_state import LogState
from event_gateway.lookup.read_events import read_events
from event_gateway.state.event_index import EventIndex
from event_gateway.state.index_entries import CAUSATION, CORRELATION, ID

MAX_CAUSES = 10  # hops
MAX_EFFECTS = 20
MAX_READ = 192  # events of a stream that are read for a hop, or for the effects
AT_A_TIME = 32


class Related(msgspec.Struct, frozen=True):
    """Another event, and by which attribute it belongs to the one that was asked for."""

    id: str
    source: str
    type: str
    stream: str
    sequence: int
    received_at: str
    by: str


class Relations:
    """Reads causes and effects. Methods raise LogUnavailable, and the exceptions in StateError."""

    def __init__(self, log: LogReader, index: EventIndex) -> None:
        self._log = log
        self._index = index

    async def causes(
        self, received: Received, states: Sequence[LogState], may_see: MaySee
    ) -> tuple[list[Related], str | None]:
        """The events that caused an event, the nearest first: by its causation id, else by its
        correlation id. Also the id at which the chain ends because the log has no such event."""
        chain: list[Related] = []
        seen = {received.event.id}
        current = received
        for _ in range(MAX_CAUSES):
            by, parent = _parent(current)
            if not parent or parent in seen:
                return chain, None
            seen.add(parent)
            events = [
                each
                async for each in self._events(states, ID, parent)
                if each.event.id == parent and may_see(each)
            ]
            if not events:
                return chain, parent
            events.sort(key=lambda each: (each.time, each.seq))
            # The latest before the event, else the first.
            before = [each for each in events if each.time <= current.time]
            current = before[-1] if before else events[0]
            chain.append(_related(current, by))
        return chain, None

    async def effects(
        self, received: Received, states: Sequence[LogState], may_see: MaySee
    ) -> tuple[list[Related], bool]:
        """The events that an event caused, the newest first: those that name its id. Also whether
        there may be more."""
        event_id = received.event.id
        effects: dict[tuple[str, int], tuple[float, Related]] = {}
        read = 0
        for kind, name in ((CAUSATION, "causationid"), (CORRELATION, "correlationid")):
            of_kind = 0
            async for each in self._events(states, kind, event_id):
                of_kind += 1
                own = each.stream == received.stream and each.seq == received.seq
                if own or str(each.event.extensions.get(name, "")) != event_id:
                    continue
                if may_see(each):
                    position = each.stream, each.seq
                    effects.setdefault(position, (each.time, _related(each, name)))
            read = max(read, of_kind)
        ordered = sorted(effects.values(), key=lambda effect: effect[0], reverse=True)
        more = len(ordered) > MAX_EFFECTS or read >= MAX_READ
        return [related for _, related in ordered[:MAX_EFFECTS]], more

    async def _events(
        self, states: Sequence[LogState], kind: bytes, text: str
    ) -> AsyncIterator[Received]:
        """The latest events of each stream at positions that may have a text."""
        for state in states:
            spans = await self._index.find(state.stream, kind, text, state.days)
            seqs: list[int] = []
            for span in sorted(spans, reverse=True):
                seqs += range(min(span.last, state.last), max(span.first, state.first) - 1, -1)
                if len(seqs) >= MAX_READ:
                    break
            for start in range(0, min(len(seqs), MAX_READ), AT_A_TIME):
                part = seqs[start : min(start + AT_A_TIME, MAX_READ)]
                for received in await read_events(self._log, state.stream, part):
                    yield received


def _parent(received: Received) -> tuple[str, str]:
    extensions = received.event.extensions
    for name in ("causationid", "correlationid"):
        if parent := str(extensions.get(name, "")):
            return name, parent
    return "", ""


def _related(received: Received, by: str) -> Related:
    event = received.event
    return Related(
        event.id, event.source, event.type, received.stream, received.seq, rfc3339(received.time),
        by,
    )  # fmt: skip
