"""Warnings that a client can cause as often as it likes: one of each kind a minute is logged."""

from collections import Counter

import structlog

log = structlog.get_logger(__name__)

INTERVAL = 60.0  # seconds between two warnings of the same kind


class RareWarnings:
    """Counts what it does not log, and says so in the next warning of the kind."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def warn(self, text: str, reason: str, now: float, **facts: object) -> None:
        """Logs, unless the same ``reason`` was logged within the interval. There must be few
        reasons. ``now`` in seconds on the loop's clock."""
        self._unlogged[reason] += 1
        if now - self._logged.get(reason, float("-inf")) < INTERVAL:
            return
        self._logged[reason] = now
        log.warning(text, reason=reason, count=self._unlogged.pop(reason), **facts)
