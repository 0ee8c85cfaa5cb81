"""Throttling: a receiver that asks for no requests for a while gets none.

A response 429 or 503 with ``Retry-After`` is about the receiver, not about one event: all
deliveries of the webhook wait for as long, in its queue, and the waiting uses up none of their
attempts. The time is in Redis, where all processes share it and restarts do not lose it. Each
process also has a timer for it, which ends the wait in its lane.
"""

import asyncio
import math
from collections.abc import Callable, Mapping

import structlog

from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.lane import Lane
from event_gateway.state.ledger import WRITTEN_AFTER, Ledger

log = structlog.get_logger(__name__)


class Throttles:
    """Which of ``lanes``, those of this process by webhook, are throttled.

    ``return_to_queue(lane, keep)`` puts all but ``keep`` deliveries of a backlog into the queue.
    """

    def __init__(
        self,
        ledger: Ledger,
        lanes: Mapping[str, Lane],
        signal: DueSignal,
        return_to_queue: Callable[[Lane, int], None],
    ) -> None:
        self._ledger = ledger
        self._lanes = lanes
        self._signal = signal
        self._return_to_queue = return_to_queue
        self._timers: dict[Lane, asyncio.TimerHandle] = {}
        self._unlisted: set[Lane] = set()  # throttled here, and not in Redis at the last look

    def request(self, lane: Lane, seconds: float) -> None:
        """The receiver has asked for no requests for ``seconds``. An earlier request for a longer
        time still holds."""
        if lane.deleted:
            return
        if not lane.throttled:
            log.warning("receiver asks the gateway to wait (Retry-After)",
                        webhook=lane.webhook.id, seconds=round(seconds, 3))  # fmt: skip
        if self._extend(lane, seconds + WRITTEN_AFTER):
            rounded_up = math.ceil(seconds * 1000) / 1000
            self._ledger.change_lane(lane.webhook.id, "throttle", rounded_up)

    def apply(self, lane: Lane, seconds: float) -> None:
        """Applies that Redis has the webhook as throttled for ``seconds`` from now."""
        self._extend(lane, seconds)

    def load(self, throttled: Mapping[str, float]) -> None:
        """Applies what Redis has: for how many seconds which webhooks are throttled.

        A lane that Redis twice does not have as throttled is not: another process has lifted that,
        or Redis has lost it. (Once, it may not have been written yet.)
        """
        for webhook_id, seconds in throttled.items():
            lane = self._lanes.get(webhook_id)
            if lane is not None:
                self._extend(lane, seconds)
        unlisted = {lane for lane in self._timers if lane.webhook.id not in throttled}
        for lane in unlisted & self._unlisted:
            self.lift(lane)
        self._unlisted = unlisted

    def lift(self, lane: Lane) -> None:
        """Ends the wait, as the webhook has another endpoint URL or is deleted."""
        timer = self._timers.get(lane)
        if timer is not None:
            timer.cancel()
            self._end(lane)

    def _extend(self, lane: Lane, seconds: float) -> bool:
        """Whether the lane now waits for longer than before."""
        loop = asyncio.get_running_loop()
        at, timer = loop.time() + seconds, self._timers.get(lane)
        if timer is not None:
            if timer.when() >= at:
                return False
            timer.cancel()
        self._timers[lane] = loop.call_at(at, self._end, lane)
        if not lane.throttled:
            lane.throttle()
            self._return_to_queue(lane, 0)
        return True

    def _end(self, lane: Lane) -> None:
        del self._timers[lane]
        log.info("receiver takes requests again", webhook=lane.webhook.id)
        lane.end_throttle()
        self._signal.request_deliveries(lane)
