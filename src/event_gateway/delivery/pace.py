"""A pace: so many in a second, a few of them at once."""

import asyncio


class Pace:
    """A token bucket on the event loop's clock."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._left = at_once
        self._since = 0.0

    @property
    def left(self) -> int:
        """How many may go now."""
        now = asyncio.get_running_loop().time()
        self._left = min(self._at_once, self._left + (now - self._since) * self._per_second)
        self._since = now
        return max(0, int(self._left))

    def take(self) -> None:
        """One goes."""
        self._left -= 1
