"""Lane sync: keeps the lanes of this process in agreement with its peers and with Redis."""

import contextlib
from collections.abc import Callable

from event_gateway.beats import beat
from event_gateway.broker.peers import Peers
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues

INTERVAL = 1.0  # seconds between two rounds
ALONE = 5  # rounds, of which one asks Redis while there is no other process that changes lanes
COMPARE_PAUSED = 30  # rounds between two comparisons of the paused queues


class LaneSync:
    """Applies, once a second, how many processes share each concurrency limit, which circuit
    breakers are open and which webhooks are throttled, as other processes have said; and every half
    minute corrects which queues are paused. ``on_round`` is called after each round that has asked
    Redis."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        queues: Queues,
        dispatcher: Dispatcher,
        peers: Peers,
        on_round: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._dispatcher = dispatcher
        self._peers = peers
        self._on_round = on_round
        self._rounds = 0

    async def run(self) -> None:
        """Synchronizes the lanes again and again. It never returns."""
        while True:
            await beat(INTERVAL)
            with contextlib.suppress(*StateError):
                await self.sync()

    async def sync(self) -> None:
        """One round. Raises the exceptions in StateError."""
        index, count = self._peers.index_and_count
        self._dispatcher.set_share(index, count)
        # While NATS is away, no process hears of the others, which deliver on.
        if count == 1 and not self._peers.cut_off and self._rounds % ALONE:
            self._rounds += 1
            return
        paused, not_closed, throttled = await self._queues.lane_states()
        self._dispatcher.breakers.load(not_closed)
        self._dispatcher.throttles.load(throttled)
        if self._rounds % COMPARE_PAUSED == 0:
            self._correct_paused(paused)
        self._rounds += 1
        self._on_round()

    def compare_paused(self) -> None:
        """Compares the paused queues in the next round, as Redis may have lost writes."""
        self._rounds = 0

    def _correct_paused(self, paused: frozenset[str]) -> None:
        """Writes again which queues are paused, where Redis and the registry differ."""
        for lane in self._dispatcher.lanes.values():
            if lane.active == (lane.webhook.id in paused):
                what = "resume" if lane.active else "pause"
                self._ledger.change_lane(lane.webhook.id, what)
