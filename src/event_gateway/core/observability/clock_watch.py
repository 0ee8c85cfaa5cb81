"""Notices that the clock of the machine was set."""

JUMP = 5.0  # seconds by which the clock may differ from one look to the next
REPORTED_FOR = 60.0  # seconds


class ClockWatch:
    """Compares the clock of the machine with one that is never set."""

    def __init__(self) -> None:
        self._offset: float | None = None  # of the two clocks at the look before
        self._jump = 0.0
        self._jumped_at = 0.0

    def look(self, now: float, tick: float) -> str | None:
        """Why the health is degraded. ``now`` in seconds since the epoch, ``tick`` on the other
        clock."""
        offset = now - tick
        if self._offset is not None and abs(offset - self._offset) > JUMP:
            self._jump, self._jumped_at = offset - self._offset, tick
        self._offset = offset
        if not self._jump or tick - self._jumped_at > REPORTED_FOR:
            return None
        direction = "forward" if self._jump > 0 else "back"
        return f"the clock of the machine was set {direction} by {abs(self._jump):.0f} s"
