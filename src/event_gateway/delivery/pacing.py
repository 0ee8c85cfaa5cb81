"""Pacing: limits how fast failing lanes start attempts, and lets them do so in turn.

Each attempt of a failing lane costs a connection. With thousands of them at once every other lane
would wait.
"""

import asyncio
from collections.abc import Callable

from event_gateway.delivery.lane import Lane

PER_SECOND = 400.0  # attempts for failing lanes that start in this process
AT_ONCE = 16.0  # of them that start in one turn
PAUSE_MS = 40  # between two turns
LANE_AT_ONCE = 2  # attempts of one lane in a turn
FULL_WAIT = 0.25  # seconds until the next look for a free slot, where the process has none


def next_turn(now: float) -> float:
    """When the next attempts of failing lanes may start, on the event loop's clock. It is the same
    time for all lanes: attempts that start together share round trips to Redis and NATS."""
    # In whole ms: the time of a turn may be less than this value by its last bit, and the turn
    # would be followed by itself.
    return (int(now * 1000 + 0.001) // PAUSE_MS + 1) * PAUSE_MS / 1000


class Pacing:
    """A token bucket, and the failing lanes that wait for their turn.

    ``slots``: how many attempts of failing lanes may be in flight. ``can_start()``: whether any
    attempt may start in this process. ``start(lane)`` starts an attempt of the lane if there is
    one to start.
    """

    def __init__(
        self, slots: int, can_start: Callable[[], bool], start: Callable[[Lane], None]
    ) -> None:
        self._slots = slots
        self._can_start = can_start
        self._start = start
        self._tokens = AT_ONCE
        self._refilled_at = 0.0
        self._waiting: dict[Lane, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def available(self) -> int:
        """How many attempts of failing lanes may start now."""
        now = asyncio.get_running_loop().time()
        self._tokens = min(AT_ONCE, self._tokens + (now - self._refilled_at) * PER_SECOND)
        self._refilled_at = now
        return max(0, min(int(self._tokens), self._slots))

    def take(self) -> None:
        """An attempt of a failing lane starts."""
        self._tokens -= 1
        self._slots -= 1

    def release(self) -> None:
        """An attempt of a failing lane has ended."""
        self._slots += 1

    def wait(self, lane: Lane) -> None:
        """Has the lane start an attempt when it is its turn."""
        if self._stopped:
            return
        self._waiting[lane] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            may_start = self._slots > 0 and self._can_start()
            at = next_turn(loop.time()) if may_start else loop.time() + FULL_WAIT
            self._timer = loop.call_at(at, self._give_turns)

    def stop(self) -> None:
        """No lane gets a turn any more."""
        self._stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _give_turns(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        # Each turn counts against `available`, also where the lane takes its token only later.
        for _ in range(min(len(waiting), self.available)):
            if not self._can_start():
                break
            lane = next(iter(waiting))
            del waiting[lane]
            lane.wake()
            self._start(lane)
        # A lane that waits again goes behind those that have not had their turn yet.
        self._waiting = waiting | self._waiting
        if self._waiting:
            self.wait(next(iter(self._waiting)))
