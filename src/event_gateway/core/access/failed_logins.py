"""How often a client may fail to authenticate."""

MAX_SUBJECTS = 10_000  # of which failures are remembered; those that failed longest ago are dropped


class FailedLogins:
    """Failures of each subject: ``limit`` at once, and as many in ``period`` seconds.

    A subject that has used them up waits for period / limit, not for the whole period. All times
    are on one clock of the caller's. ``subjects``: those that have failed, mostly none.
    """

    def __init__(self, limit: int, period: float) -> None:
        self._interval = period / limit  # seconds after which one more failure is allowed
        self._period = period
        # When all failures of a subject are forgotten, and whether that it waits was reported.
        self.subjects: dict[str, tuple[float, bool]] = {}

    def wait(self, subject: str, now: float) -> float:
        """Seconds for which a subject must wait until it may fail again; 0 if it need not."""
        known = self.subjects.get(subject)
        if known is None:
            return 0.0
        if known[0] <= now:
            del self.subjects[subject]
            return 0.0
        return max(0.0, known[0] + self._interval - now - self._period)

    def failed(self, subject: str, now: float) -> bool:
        """Counts a failure. Returns whether the subject must wait now, for the first time since it
        last had no failures."""
        forgotten_at, reported = self.subjects.pop(subject, (now, False))
        if forgotten_at <= now:
            forgotten_at, reported = now, False
        forgotten_at = min(forgotten_at + self._interval, now + self._period)
        waits = forgotten_at + self._interval - now > self._period + 1e-9
        if len(self.subjects) >= MAX_SUBJECTS:
            del self.subjects[next(iter(self.subjects))]
        self.subjects[subject] = (forgotten_at, reported or waits)
        return waits and not reported
