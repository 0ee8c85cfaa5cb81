"""How many requests a caller may send in a window of time.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10; the policy has the name
``requests``.
"""

import math
from typing import NamedTuple

MAX_CALLERS = 10_000  # whose windows are remembered; the window that began first is dropped


class Quota(NamedTuple):
    """What a caller has left. ``limit`` requests in ``window`` seconds; ``remaining`` after this
    one, below 0 if it is one too many; ``reset``: seconds until the window ends."""

    limit: int
    window: float
    remaining: int
    reset: float

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer, which count whole seconds."""
        policy = b'"requests";q=%d;w=%d' % (self.limit, math.ceil(self.window))
        left = self.remaining if self.remaining > 0 else 0
        now = b'"requests";r=%d;t=%d' % (left, math.ceil(self.reset))
        return [(b"ratelimit-policy", policy), (b"ratelimit", now)]


class RequestRates:
    """The window of each caller, which begins with its first request. All times are on one clock
    of the caller's."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # end, requests so far

    def __len__(self) -> int:
        return len(self._windows)

    def spend(self, caller: str, limit: int, window: float, now: float) -> Quota:
        """Counts a request. ``caller``: its identity."""
        end, used = self._windows.get(caller, (now, 0))
        if end <= now:
            self._windows.pop(caller, None)  # to the end, behind the windows that began before
            end, used = now + window, 0
            if len(self._windows) >= MAX_CALLERS:
                del self._windows[next(iter(self._windows))]
        used += 1
        self._windows[caller] = (end, used)
        return Quota(limit, window, limit - used, end - now)
