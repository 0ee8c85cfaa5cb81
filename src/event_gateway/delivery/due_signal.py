"""What wakes the due loop: a delivery becomes due, or a lane has room."""

import asyncio
import math

from event_gateway.delivery.lane import Lane
from event_gateway.delivery.pacing import next_turn

GATHER = 0.003  # seconds in which more deliveries may become due, or lanes find room


class DueSignal:
    """Other parts tell it what has changed; the due loop waits for it and reads it.

    ``due_at``: when the next delivery becomes due, on the event loop's clock. ``lanes``: those that
    have room while deliveries are in their queues; ``paced_lanes``: those of them whose attempts
    are paced.
    """

    def __init__(self) -> None:
        self.due_at = 0.0
        self.lanes: dict[Lane, None] = {}
        self.paced_lanes: dict[Lane, None] = {}
        self._wake_at = 0.0
        self._reached: asyncio.Future[None] | None = None  # while the due loop waits
        self._timer: asyncio.TimerHandle | None = None

    def due_in(self, seconds: float) -> None:
        """A delivery becomes due in ``seconds``."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self.due_at:
            self.due_at = at
            self._wake(at)

    def request_deliveries(self, lane: Lane) -> None:
        """The lane has room, and there are deliveries in its queue."""
        lanes = self.paced_lanes if lane.paced else self.lanes
        if lane not in lanes:
            lanes[lane] = None
            self._wake_for(lanes)

    def served(self) -> None:
        """The due loop has served the lanes: where some are left, it comes back soon."""
        if self.lanes or self.paced_lanes:
            self._wake_for(self.lanes or self.paced_lanes)

    def due_now(self) -> None:
        """The due loop is to look for due deliveries."""
        self.due_in(0.0)

    def expect_nothing(self) -> None:
        """The due loop looks for due deliveries: until :meth:`due_in` is called, no other becomes
        due."""
        self.due_at = math.inf

    def sleep_until(self, at: float) -> None:
        """Sets until when :meth:`wait` sleeps, unless something happens before."""
        self._wake_at = at

    async def wait(self) -> None:
        """Returns when it is time for the due loop to go on."""
        loop = asyncio.get_running_loop()
        if self._wake_at <= loop.time():
            return
        self._reached = loop.create_future()
        try:
            self._set_timer(loop)
            await self._reached
        finally:
            self._reached = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _wake_for(self, lanes: dict[Lane, None]) -> None:
        now = asyncio.get_running_loop().time()
        self._wake(now + GATHER if lanes is self.lanes else next_turn(now))

    def _wake(self, at: float) -> None:
        if at < self._wake_at:
            self._wake_at = at
            if self._reached is not None:
                self._set_timer(asyncio.get_running_loop())

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wake_at <= loop.time():
            self._reach()  # a timer would be another wake-up, up to a millisecond later
        elif not math.isinf(self._wake_at):
            # The loop's timers count whole milliseconds: it must not come back too early.
            at = math.ceil(self._wake_at * 1000) / 1000
            self._timer = loop.call_at(at, self._reach)

    def _reach(self) -> None:
        if self._reached is not None and not self._reached.done():
            self._reached.set_result(None)
