"""How often a caller may do something: a burst at once, and a number of times a second after it."""

MAX_CALLERS = 1024  # that are remembered; those that came longest ago are dropped


class Allowances:
    """What each caller has left. All times are on one clock of the caller's, in seconds."""

    def __init__(self, at_once: int, a_second: float) -> None:
        self._at_once = float(at_once)
        self._a_second = a_second
        self._left: dict[str, tuple[float, float]] = {}  # how many, as of when

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: str, now: float) -> float:
        """Takes one, and returns 0; where none is left, the seconds until there is one."""
        left, at = self._left.pop(caller, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._a_second)
        taken = left >= 1
        if len(self._left) >= MAX_CALLERS:
            del self._left[next(iter(self._left))]
        self._left[caller] = (left - 1 if taken else left, now)
        return 0.0 if taken else (1 - left) / self._a_second
