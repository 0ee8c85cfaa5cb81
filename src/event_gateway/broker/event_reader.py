"""Reads events from the log and from dead letters, with a bounded cache of recent events."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.cloudevents.event import Received

MAX_EVENTS = 4096
MAX_BYTES = 32 * 1024 * 1024


class EventReader:
    """Reads events by position: in a stream of the log, or in the stream of dead letters.

    Raises LogUnavailable if an event is not in the cache and NATS is away.
    """

    def __init__(self, log: LogReader, dead_letters: DeadLetterLog) -> None:
        self._log = log
        self._dead_letters = dead_letters
        self._cached: OrderedDict[tuple[str, int], Received] = OrderedDict()
        self._bytes = 0

    def cache(self, received: Received) -> None:
        """Caches an enriched event. Beyond the limits the oldest events are dropped."""
        position = (received.stream, received.seq)
        if position in self._cached:
            return
        self._cached[position] = received
        self._bytes += len(received.event.data)
        while len(self._cached) > MAX_EVENTS or self._bytes > MAX_BYTES:
            _, dropped = self._cached.popitem(last=False)
            self._bytes -= len(dropped.event.data)

    def forget(self, stream: str) -> None:
        """Drops the cached events of a stream, which has others at their sequences now."""
        for position in [position for position in self._cached if position[0] == stream]:
            self._bytes -= len(self._cached.pop(position).event.data)

    async def read(self, stream: str, seq: int) -> Received | None:
        """The event at a position; None if there is none, or no longer."""
        cached = self._cached.get((stream, seq))
        if cached is not None:
            return cached
        if stream == DEAD_LETTERS:
            return await self._dead_letters.event(seq)
        return await self._log.read(stream, seq)

    async def read_many(
        self, positions: Sequence[tuple[str, int]]
    ) -> list[tuple[Received | Exception | None, bool]]:
        """Reads many events: for each position its event and whether the event was in the cache.

        The results are in the order of ``positions``. For an event that cannot be read now, the
        result holds the exception.
        """
        results: dict[tuple[str, int], tuple[Received | Exception | None, bool]] = {}
        uncached: dict[str, list[int]] = {}
        for position in positions:
            cached = self._cached.get(position)
            if cached is not None:
                results[position] = cached, True
            else:
                uncached.setdefault(position[0], []).append(position[1])
        if not uncached:
            return [results[position] for position in positions]
        # The streams are read at the same time, so that the timeouts of several do not add up.
        by_stream = await asyncio.gather(
            *(self._read_stream(stream, seqs) for stream, seqs in uncached.items())
        )
        for (stream, seqs), events in zip(uncached.items(), by_stream, strict=True):
            for seq, event in zip(seqs, events, strict=True):
                if isinstance(event, BaseException) and not isinstance(event, Exception):
                    raise event
                results[stream, seq] = event, False
        return [results[position] for position in positions]

    async def _read_stream(
        self, stream: str, seqs: Sequence[int]
    ) -> Sequence[Received | BaseException | None]:
        if stream != DEAD_LETTERS:
            return await self._log.read_many(stream, seqs)
        return await asyncio.gather(
            *(self._dead_letters.event(seq) for seq in seqs), return_exceptions=True
        )
