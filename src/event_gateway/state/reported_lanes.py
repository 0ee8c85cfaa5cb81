"""What the calls of a write report of the lanes of its webhooks. The latest call of each counts."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec


class ReportedLanes(msgspec.Struct):
    """``webhooks``: those of which something was written; ``not_closed``: those of them whose
    circuit breaker is not closed; ``failing``: for those with a failed attempt, for how many
    seconds all attempts have failed; ``throttled``: for how many seconds which of them are."""

    webhooks: set[str] = msgspec.field(default_factory=set)
    not_closed: set[str] = msgspec.field(default_factory=set)
    failing: dict[str, float] = msgspec.field(default_factory=dict)
    throttled: dict[str, float] = msgspec.field(default_factory=dict)

    def add(
        self,
        webhooks: Collection[str],
        succeeded: Collection[str],
        not_closed: Sequence[bytes],
        failing: Sequence[Any],
        throttled: Sequence[Any],
    ) -> None:
        """Adds the answer of the next call of ``ledger/write.lua``, which named these webhooks.
        Attempts of those in ``succeeded`` have succeeded."""
        for webhook in self.webhooks.intersection(webhooks):
            self.not_closed.discard(webhook)
            self.throttled.pop(webhook, None)
            if webhook in succeeded:
                self.failing.pop(webhook, None)
        self.webhooks.update(webhooks)
        self.not_closed.update(webhook.decode() for webhook in not_closed)
        self.failing |= _seconds(failing)
        self.throttled |= _seconds(throttled)


def _seconds(row: Sequence[Any]) -> dict[str, float]:
    """Makes a mapping from a flat array of webhooks and ms."""
    return {row[i].decode(): row[i + 1] / 1000 for i in range(0, len(row), 2)}
