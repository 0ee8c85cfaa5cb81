"""Reading events back from the log, through a bounded cache of recent ones."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.cloudevents.event import Received

MAX_EVENTS = 4096
MAX_BYTES = 32 * 1024 * 1024


class EventReader:
    """Events by place, in the log or among the dead letters.

    Raises LogUnavailable where NATS must be asked and is away.
    """

    def __init__(self, log: EventLog, letters: DeadLetterLog) -> None:
        self._log = log
        self._letters = letters
        self._kept: OrderedDict[tuple[str, int], Received] = OrderedDict()
        self._bytes = 0

    def keep(self, received: Received) -> None:
        """Keeps an event at hand for a while, as it is to be delivered: enriched."""
        key = (received.stream, received.seq)
        if key in self._kept:
            return
        self._kept[key] = received
        self._bytes += len(received.event.data)
        while len(self._kept) > MAX_EVENTS or self._bytes > MAX_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.event.data)

    async def read(self, stream: str, seq: int) -> Received | None:
        """The event there, or None where there is none (any more)."""
        kept = self._kept.get((stream, seq))
        if kept is not None:
            return kept
        if stream == DEAD_LETTERS:
            return await self._letters.event(seq)
        return await self._log.read(stream, seq)

    async def read_many(
        self, places: Sequence[tuple[str, int]]
    ) -> list[tuple[Received | Exception | None, bool]]:
        """The same of many, in their order, and whether each was at hand; for an event that cannot
        be had now, what stands in the way."""
        out: dict[tuple[str, int], tuple[Received | Exception | None, bool]] = {}
        wanted: dict[str, list[int]] = {}
        for place in places:
            kept = self._kept.get(place)
            if kept is not None:
                out[place] = kept, True
            else:
                wanted.setdefault(place[0], []).append(place[1])
        # One stream that does not answer must not add its wait to that of the next.
        found = await asyncio.gather(*(self._found(*one) for one in wanted.items()))
        for (stream, seqs), events in zip(wanted.items(), found, strict=True):
            for seq, one in zip(seqs, events, strict=True):
                if isinstance(one, BaseException) and not isinstance(one, Exception):
                    raise one
                out[stream, seq] = one, False
        return [out[place] for place in places]

    async def _found(
        self, stream: str, seqs: Sequence[int]
    ) -> Sequence[Received | BaseException | None]:
        if stream != DEAD_LETTERS:
            return await self._log.read_many(stream, seqs)
        return await asyncio.gather(
            *(self._letters.event(seq) for seq in seqs), return_exceptions=True
        )
