"""How long things last although the clock of a machine may be set.

What is stored says by wall clock when it began, as other processes read it. Within a process its
duration is measured on a clock that is never set (``tick``, in seconds).
"""

from collections.abc import Collection, Hashable, Mapping

import msgspec


class _Seen(msgspec.Struct, frozen=True):
    """``mark``: the beginning by wall clock; ``tick``: the same on the other clock."""

    mark: float
    tick: float


class Elapsed:
    """For how long things last that began at a time by wall clock.

    The wall clock is asked once, when a thing is seen first. A beginning in the future counts as
    now.
    """

    def __init__(self) -> None:
        self._seen: dict[Hashable, _Seen] = {}

    def since(
        self, key: Hashable, mark: float, now: float, tick: float, *, trusted: bool = True
    ) -> float:
        """Seconds since ``mark`` (Unix time), which is the beginning of ``key``. ``now``: Unix
        time. What is seen first while the wall clock is not ``trusted`` counts from now on."""
        seen = self._seen.get(key)
        if seen is None or seen.mark != mark:
            before = max(0.0, now - mark) if trusted else 0.0
            seen = self._seen[key] = _Seen(mark, tick - before)
        return tick - seen.tick

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forgets all others."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}


class Waits:
    """Waits that were measured by clocks which may be set: no wait grows faster than time passes.

    ``least``: the shortest wait that is measured, in seconds.
    """

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._last: Mapping[str, float] = {}
        self._at: float | None = None

    def limited(self, measured: Mapping[str, float], tick: float) -> dict[str, float]:
        """All waits that there are now, by their names, in seconds. The first time as they are."""
        if self._at is None:
            waits = dict(measured)
        else:
            passed = tick - self._at
            waits = {
                name: min(wait, self._last.get(name, self._least) + passed)
                for name, wait in measured.items()
            }
        self._last, self._at = waits, tick
        return waits
