"""Events that the router has taken from the log and has not acknowledged yet."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.provision import ACK_WAIT, MAX_UNACKED
from event_gateway.broker.pull import Pulled

# Events that this process may hold unacknowledged. Less than the consumer's limit, so that several
# processes can share it.
MAX_UNSETTLED = MAX_UNACKED // 4
MAX_UNSETTLED_BYTES = 64 * 1024 * 1024  # of their data; what is requested already may come on top
NOT_TAKEN = ""  # the reply of an event that is routed ahead: there is nothing to acknowledge yet


class Settlement(msgspec.Struct, eq=False):
    """An event, of ``size`` bytes, of which ``waiting`` deliveries are not recorded yet. ``settle``
    is called once all are. ``since`` when it is in progress, on the monotonic clock."""

    settle: Callable[["Settlement"], None]
    seq: int
    waiting: int
    reply: str
    size: int
    since: float

    def recorded(self) -> None:
        """One delivery more is recorded."""
        self.waiting -= 1
        if self.waiting == 0:
            self.settle(self)


class Unsettled:
    """The unsettled events of one stream, by sequence. It acknowledges them in the log once all
    their deliveries are recorded. Calls ``on_room`` once there is room again, where a task waits
    for it (:meth:`wait_for_room`)."""

    def __init__(self, broker: Broker, on_room: Callable[[], None]) -> None:
        self._broker = broker
        self._on_room = on_room
        self.waits_for_room = False
        self._events: dict[int, Settlement] = {}
        # The event with a sequence, if it is unsettled. Bound directly: every event is looked up.
        self.get = self._events.get
        self._bytes = 0  # of their data

    def __len__(self) -> int:
        return len(self._events)

    def __contains__(self, seq: int) -> bool:
        return seq in self._events

    def room(self, arrived_bytes: int) -> int:
        """How many more events may be unsettled. ``arrived_bytes``: of the data of those that have
        arrived and are not taken yet."""
        if self._bytes + arrived_bytes >= MAX_UNSETTLED_BYTES:
            return 0
        return MAX_UNSETTLED - len(self._events)

    def wait_for_room(self, waits: bool) -> None:
        """Has ``on_room`` called once there is room again, or not any more."""
        self.waits_for_room = waits

    def add(self, pulled: Pulled, seq: int, deliveries: int) -> Settlement:
        """Holds an event until all of its ``deliveries`` are recorded."""
        settlement = self._events[seq] = Settlement(
            self._settle, seq, deliveries, pulled.reply, len(pulled.data), time.monotonic()
        )
        self._bytes += settlement.size
        return settlement

    def forget(self, settlement: Settlement) -> None:
        """Does not keep an event alive any more: NATS redelivers it, if it is not acknowledged."""
        if self._events.get(settlement.seq) is settlement:
            del self._events[settlement.seq]
            self._bytes -= settlement.size
            if self.waits_for_room and self._is_half_empty:
                self.waits_for_room = False
                self._on_room()

    def new(self, batch: list[Pulled]) -> list[Pulled]:
        """The messages of a batch that are not in progress already. The others were redelivered:
        they are acknowledged under the latest delivery."""
        events = self._events
        new = [pulled for pulled in batch if pulled.seq not in events]
        if len(new) < len(batch):
            for pulled in batch:
                if pulled.seq in events:
                    events[pulled.seq].reply = pulled.reply
        return new

    def drop_all(self) -> None:
        """The stream has other messages now: no event in progress is acknowledged, as the
        acknowledgement would count for another message of the same sequence."""
        for settlement in self._events.values():
            settlement.reply = NOT_TAKEN
        self._events.clear()
        self._bytes = 0

    async def keep_alive(self) -> None:
        """Tells JetStream that these events are in progress, before it redelivers them. It never
        returns."""
        while True:  # at once after a restart: it may have crashed a while ago
            now = time.monotonic()
            for settlement in self._events.values():
                if settlement.reply and now - settlement.since > ACK_WAIT / 4:
                    self._broker.post(settlement.reply, b"+WPI")
            await asyncio.sleep(ACK_WAIT / 4)

    @property
    def _is_half_empty(self) -> bool:
        """Whether there is room for half of what may be unsettled: less makes small requests."""
        return len(self._events) <= MAX_UNSETTLED // 2 and self._bytes <= MAX_UNSETTLED_BYTES // 2

    def _settle(self, settlement: Settlement) -> None:
        """All deliveries of an event are recorded: acknowledges it in the log."""
        self.forget(settlement)
        if settlement.reply:
            self._broker.post(settlement.reply, b"+ACK")
            if not self._events:
                self._broker.outbox.nothing_follows()
