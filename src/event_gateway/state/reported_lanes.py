"""What the calls of a write report of the lanes of its webhooks, and who follows these reports."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec


class ReportedLanes(msgspec.Struct):
    """What a write reports; of several calls about a webhook the latest counts.

    ``webhooks``: those of which something was written; ``not_closed``: those of them whose
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


# Gets the webhooks whose circuit breakers have no newer change that is about to be written, then
# the other fields of ReportedLanes.
LaneReport = Callable[[Sequence[str], frozenset[str], dict[str, float], dict[str, float]], None]


class LaneReports:
    """What the writes of the ledger report of the lanes: made before the ledger, which reports, and
    before those that follow it."""

    def __init__(self) -> None:
        self._followers: list[LaneReport] = []

    def follow(self, follower: LaneReport) -> None:
        """Calls ``follower`` with each report from now on."""
        self._followers.append(follower)

    @property
    def followed(self) -> bool:
        """Whether a report is worth its making."""
        return bool(self._followers)

    def report(self, settled: Sequence[str], lanes: ReportedLanes) -> None:
        """Reports a write. ``settled``: its webhooks whose circuit breakers have no newer change
        that is about to be written."""
        for follower in self._followers:
            follower(settled, frozenset(lanes.not_closed), lanes.failing, lanes.throttled)


def _seconds(row: Sequence[Any]) -> dict[str, float]:
    """Makes a mapping from a flat array of webhooks and ms."""
    return {row[i].decode(): row[i + 1] / 1000 for i in range(0, len(row), 2)}
