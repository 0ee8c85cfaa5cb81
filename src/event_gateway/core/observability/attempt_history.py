"""Attempts over a sliding window, by webhook and over all, and failures in a row.

Every process keeps the same history, from the tallies that all processes publish. Its times are
those of a clock that is never set, in seconds.
"""

from collections import deque
from collections.abc import Collection, Container, Iterable

import msgspec

MAX_WEBHOOKS = 20_000  # of a window; the attempts of further ones are counted over all alone
SLOTS = 10  # of a window, which moves on by one of them at a time


class TallyRow(msgspec.Struct, array_like=True, frozen=True):
    """Attempts of a webhook in one process since its last tally.

    ``trailing``: those that failed after the last success. ``age``: the longest time, in seconds,
    from the receipt of an event to the end of its attempt. ``error``: the last error type.
    """

    webhook: str
    succeeded: int
    failed: int
    trailing: int
    age: float
    error: str


class Count:
    """Attempts, by how they ended."""

    __slots__ = ("failed", "succeeded")

    def __init__(self, succeeded: int = 0, failed: int = 0) -> None:
        self.succeeded = succeeded
        self.failed = failed

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.succeeded + self.failed


class AttemptWindow:
    """The attempts of the last ``seconds``, by webhook in ``counts`` and over all in ``total``.

    ``began``: when it started to count.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        self.began = now
        self.counts: dict[str, Count] = {}
        self.total = Count()
        self._slots: deque[tuple[float, dict[str, Count], Count]] = deque()

    def is_complete(self, now: float) -> bool:
        """Whether it has counted for as long as it reaches back."""
        return now - self.began >= self.seconds

    def add(self, row: TallyRow, now: float) -> None:
        """Counts attempts."""
        if not self._slots or now - self._slots[-1][0] >= self.seconds / SLOTS:
            self._slots.append((now, {}, Count()))
        _, slot, slot_total = self._slots[-1]
        counted = [self.total, slot_total]
        sums = self.counts.get(row.webhook)
        if sums is None and len(self.counts) < MAX_WEBHOOKS:
            sums = self.counts[row.webhook] = Count()
        if sums is not None:
            counted += [sums, slot.setdefault(row.webhook, Count())]
        for count in counted:
            count.succeeded += row.succeeded
            count.failed += row.failed

    def expire(self, now: float) -> Iterable[str]:
        """Drops what is older than the window; returns the webhooks whose counts have changed."""
        changed: list[str] = []
        while self._slots and now - self._slots[0][0] >= self.seconds:
            _, slot, slot_total = self._slots.popleft()
            _subtract(self.total, slot_total)
            for webhook, count in slot.items():
                sums = self.counts.get(webhook)
                if sums is not None:
                    _subtract(sums, count)
                    if sums.attempts <= 0:
                        del self.counts[webhook]
            changed += slot
        return changed


class Streak(msgspec.Struct):
    """Failures in a row since ``since``, the last one with this error type."""

    failures: int
    since: float
    error: str


class AttemptHistory:
    """What all processes have attempted lately. ``windows``: by their length in seconds.

    ``streaks``: failures in a row, by webhook. ``changed``: the webhooks of which something has
    changed since :meth:`take_changed`.
    """

    def __init__(self, lengths: Collection[float], now: float) -> None:
        self.windows = {seconds: AttemptWindow(seconds, now) for seconds in lengths}
        self.streaks: dict[str, Streak] = {}
        self._ages: dict[str, tuple[float, float]] = {}  # the age, and when it was reported
        self._changed: set[str] = set()

    def set_lengths(self, lengths: Collection[float], now: float) -> None:
        """Keeps windows of other lengths; a new one starts empty."""
        self.windows = {
            seconds: self.windows.get(seconds) or AttemptWindow(seconds, now) for seconds in lengths
        }

    def add(self, row: TallyRow, now: float, recent: float) -> None:
        """Adds the tally of a process. ``recent``: seconds for which its age counts."""
        self._changed.add(row.webhook)
        for window in self.windows.values():
            window.add(row, now)
        self._add_to_streak(row, now)
        age, at = self._ages.get(row.webhook, (0.0, 0.0))
        has_room = row.webhook in self._ages or len(self._ages) < MAX_WEBHOOKS
        if has_room and row.age > 0 and (row.age >= age or now - at > recent):
            self._ages[row.webhook] = (row.age, now)

    def age(self, webhook: str, now: float, recent: float) -> float:
        """The longest recent time, in seconds, from an event's receipt to the end of its attempt;
        0 if there was no attempt."""
        age, at = self._ages.get(webhook, (0.0, 0.0))
        if now - at <= recent:
            return age
        self._ages.pop(webhook, None)
        return 0.0

    def expire(self, now: float, recent: float) -> None:
        """Drops what is too old."""
        for window in self.windows.values():
            self._changed.update(window.expire(now))
        for webhook, (_, at) in list(self._ages.items()):
            if now - at > recent:
                del self._ages[webhook]
                self._changed.add(webhook)

    def forget(self, webhook: str) -> None:
        """Forgets the failures in a row of a webhook that is deleted or paused."""
        self.streaks.pop(webhook, None)

    def forget_others(self, known: Container[str]) -> None:
        """Forgets what is kept without an end of webhooks that are not among those."""
        for webhook in [each for each in self.streaks if each not in known]:
            del self.streaks[webhook]
        self._changed = {webhook for webhook in self._changed if webhook in known}

    def take_changed(self) -> set[str]:
        """The webhooks of which something has changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def _add_to_streak(self, row: TallyRow, now: float) -> None:
        streak = self.streaks.get(row.webhook)
        if row.succeeded and streak is not None:
            del self.streaks[row.webhook]
            streak = None
        failures = row.trailing if row.succeeded else row.failed
        if not failures:
            return
        if streak is not None:
            streak.failures += failures
            streak.error = row.error
        elif len(self.streaks) < MAX_WEBHOOKS:
            self.streaks[row.webhook] = Streak(failures, now, row.error)


def _subtract(count: Count, other: Count) -> None:
    count.succeeded -= other.succeeded
    count.failed -= other.failed
