"""The pace of the sick: lanes whose receivers only fail begin their attempts in turn.

Each such attempt costs a connection, and with thousands of them at once everybody else would wait.
"""

import asyncio
from collections.abc import Callable

from event_gateway.delivery.lane import Lane

PER_SECOND = 400.0  # attempts for sick receivers that begin in this process
AT_ONCE = 8.0
PAUSE = AT_ONCE / PER_SECOND  # seconds until as many more may begin
FULL_WAIT = 0.25  # seconds until it is looked again whether a place has become free


class SickTurns:
    """A token bucket, and the lanes that wait for it.

    ``places``: how many attempts may be in flight for them. ``may``: whether any may begin at all.
    ``start`` has a lane begin one, if it can.
    """

    def __init__(self, places: int, may: Callable[[], bool], start: Callable[[Lane], None]) -> None:
        self._places = places
        self._may = may
        self._start = start
        self._left = AT_ONCE
        self._since = 0.0
        self._waiting: dict[Lane, None] = {}
        self._next: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def left(self) -> int:
        """How many may begin now."""
        now = asyncio.get_running_loop().time()
        self._left = min(AT_ONCE, self._left + (now - self._since) * PER_SECOND)
        self._since = now
        return max(0, min(int(self._left), self._places))

    def take(self) -> None:
        """One begins."""
        self._left -= 1
        self._places -= 1

    def give_back(self) -> None:
        """One has ended."""
        self._places += 1

    def wait(self, lane: Lane) -> None:
        """Lets a lane begin an attempt when it is its turn."""
        if self._stopped:
            return
        self._waiting[lane] = None
        if self._next is None:
            pause = PAUSE if self._places > 0 and self._may() else FULL_WAIT
            self._next = asyncio.get_running_loop().call_later(pause, self._turn)

    def stop(self) -> None:
        """Nobody has a turn any more."""
        self._stopped = True
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()

    def _turn(self) -> None:
        self._next = None
        waiting, self._waiting = self._waiting, {}
        # Each costs one of what is left, also where it takes its place only when it is woken.
        for _ in range(min(len(waiting), self.left)):
            if not self._may():
                break
            lane = next(iter(waiting))
            del waiting[lane]
            lane.freed.set()
            self._start(lane)
        # Who waits again goes behind those whose turn it has not been yet.
        self._waiting = waiting | self._waiting
        if self._waiting:
            self.wait(next(iter(self._waiting)))
