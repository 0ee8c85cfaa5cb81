"""What wakes the due loop: a delivery becomes due, or a lane has room."""

import asyncio
import math

from event_gateway.delivery.lane import Lane
from event_gateway.delivery.pacing import PAUSE

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
        self._sooner = asyncio.Event()

    def due_in(self, seconds: float) -> None:
        """A delivery becomes due in so many seconds."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self.due_at:
            self.due_at = at
            self._wake(at)

    def request_deliveries(self, lane: Lane) -> None:
        """The lane has room, and there are deliveries in its queue."""
        (self.paced_lanes if lane.paced else self.lanes)[lane] = None
        self._wake(asyncio.get_running_loop().time() + (PAUSE if lane.paced else GATHER))

    def served(self) -> None:
        """The due loop has served the lanes: where some are left, it comes back soon."""
        if self.lanes or self.paced_lanes:
            pause = GATHER if self.lanes else PAUSE
            self._wake(asyncio.get_running_loop().time() + pause)

    def due_now(self) -> None:
        """The due loop is to look for due deliveries."""
        self.due_in(0.0)

    def expect_nothing(self) -> None:
        """The due loop looks for due deliveries: until somebody says more, no other becomes due."""
        self.due_at = math.inf

    def sleep_until(self, at: float) -> None:
        """Sets until when :meth:`wait` sleeps, unless something happens before."""
        self._wake_at = at

    async def wait(self) -> None:
        """Returns when it is time for the due loop to go on."""
        loop = asyncio.get_running_loop()
        while (left := self._wake_at - loop.time()) > 0:
            self._sooner.clear()
            try:
                async with asyncio.timeout(None if math.isinf(left) else left):
                    await self._sooner.wait()
            except TimeoutError:
                return

    def _wake(self, at: float) -> None:
        if at < self._wake_at:
            self._wake_at = at
            self._sooner.set()
