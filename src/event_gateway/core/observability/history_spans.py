"""Which points answer a question about a span of time."""

import math
from dataclasses import dataclass

from event_gateway.core.errors import InvalidDefinition


@dataclass(frozen=True, slots=True)
class Ring:
    """Points of ``step`` seconds each, of which the latest ``size`` are stored."""

    step: int
    size: int

    @property
    def seconds(self) -> int:
        """For how long a point is stored."""
        return self.step * self.size


SLOT = 10  # seconds of the shortest point
HOUR, DAY = 3600, 86400
# Of the whole gateway, the shortest first. Each step is a multiple of the one before.
RINGS = (Ring(SLOT, 360), Ring(60, 1440), Ring(900, 2880))
WEBHOOK_RING = Ring(300, 288)
MAX_POINTS = 1500  # of a series in an answer
USUAL_POINTS = 400  # of a series, if the caller does not say how long a step is
_STEPS = (10, 30, 60, 300, 900, 1800, HOUR, 2 * HOUR, 6 * HOUR, DAY)


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """``count`` steps of ``step`` seconds, from the points of ``ring``. The first step begins at
    ``begin`` (seconds since the epoch)."""

    begin: int
    step: int
    count: int
    ring: Ring

    @property
    def end(self) -> int:
        """Where the last step ends."""
        return self.begin + self.step * self.count


def span_of(
    rings: tuple[Ring, ...],
    now: float,
    since: float,
    until: float | None = None,
    step: float | None = None,
    *,
    usual: int = USUAL_POINTS,
) -> HistorySpan:
    """The span from ``since`` to ``until`` (seconds since the epoch; None: now).

    Its steps begin at multiples of ``step`` seconds; None: of which there are at most ``usual``.
    ``rings``: the points that there are, the shortest first. Raises InvalidDefinition.
    """
    until = now if until is None else min(until, now)
    since = max(since, now - rings[-1].seconds)
    if since >= until:
        longest = f"{rings[-1].seconds // HOUR} hours"
        raise InvalidDefinition("since", f"must be before until, and at most {longest} ago")
    reaching = [ring for ring in rings if now - since <= ring.seconds] or [rings[-1]]
    finest = reaching[0].step
    if step is None:
        fitting = [each for each in _STEPS if each % finest == 0]
        seconds = next((each for each in fitting if (until - since) / each <= usual), fitting[-1])
    else:
        seconds = round(step)
        if seconds < finest or seconds % finest or seconds > 30 * DAY:
            raise InvalidDefinition(
                "step", f"must be a multiple of {finest}s for a span that begins then"
            )
    ring = next(ring for ring in reversed(reaching) if seconds % ring.step == 0)
    begin = math.floor(since / seconds) * seconds
    count = math.ceil((until - begin) / seconds)
    if count > MAX_POINTS:
        raise InvalidDefinition("step", f"gives {count} points, and {MAX_POINTS} are the most")
    return HistorySpan(begin, seconds, count, ring)
