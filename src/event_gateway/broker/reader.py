"""Reading events back from the log, through a bounded cache of recent ones."""

from collections import OrderedDict

from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.log import EventLog
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.event import Received

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
        """Keeps an event at hand for a while."""
        key = (received.stream, received.seq)
        if key in self._kept:
            return
        self._kept[key] = received
        self._bytes += len(received.event.data)
        while len(self._kept) > MAX_EVENTS or self._bytes > MAX_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.event.data)

    async def read(self, stream: str, seq: int) -> tuple[Received | None, bool]:
        """The event there, or None where there is none (any more), and whether it was at hand."""
        kept = self._kept.get((stream, seq))
        if kept is not None:
            return kept, True
        if stream == DEAD_LETTERS:
            received = await self._letters.event(seq)
        else:
            received = await self._log.read(stream, seq)
        if received is not None:
            self.keep(received)
        return received, False
