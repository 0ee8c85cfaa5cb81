"""How many requests a caller may send in a window of time.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10; the policy has the name
``requests``.
"""

import math

import msgspec

MAX_CALLERS = 10_000  # whose windows are remembered; the window that began first is dropped
MAX_REQUESTS = 1_000_000_000  # of a limit of a key's own
MAX_WINDOW = 86400.0  # seconds, of the same


class RequestLimit(msgspec.Struct, frozen=True):
    """``requests`` in ``window`` seconds."""

    requests: int
    window: float


class Quota(msgspec.Struct, frozen=True, gc=False):
    """What a caller has left of its limit: ``remaining`` after this request, below 0 if it is one
    too many; ``reset``: seconds until the window ends."""

    limit: RequestLimit
    remaining: int
    reset: float

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer, which count whole seconds."""
        limit = self.limit
        policy = b'"requests";q=%d;w=%d' % (limit.requests, math.ceil(limit.window))
        left = self.remaining if self.remaining > 0 else 0
        now = b'"requests";r=%d;t=%d' % (left, math.ceil(self.reset))
        return [(b"ratelimit-policy", policy), (b"ratelimit", now)]


class _Window:
    __slots__ = ("end", "used")

    def __init__(self, end: float) -> None:
        self.end = end
        self.used = 0


class RequestRates:
    """The window of each caller, which begins with its first request. All times are on one clock
    of the caller's."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def spend(self, caller: tuple[str, str], limit: RequestLimit, now: float) -> Quota:
        """Counts a request. ``caller``: its method and id."""
        window = self._windows.get(caller)
        if window is None or window.end <= now:
            self._windows.pop(caller, None)  # to the end, behind the windows that began before
            if len(self._windows) >= MAX_CALLERS:
                del self._windows[next(iter(self._windows))]
            self._windows[caller] = window = _Window(now + limit.window)
        window.used += 1
        # Rounding may make the end later than it is.
        return Quota(limit, limit.requests - window.used, min(window.end - now, limit.window))
