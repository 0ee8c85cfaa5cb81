"""What the lane of a webhook counts: its metrics, and its history.

The first 500 webhooks have metrics of their own, of which the history takes the differences. The
others share a label, and count for their history one by one.
"""

from bisect import bisect_left
from typing import Protocol

from event_gateway.core.observability.history_points import LATENCY_BOUNDS, no_latencies
from event_gateway.core.webhook.delivery import Status
from event_gateway.observability.metrics.figures import WebhookMetrics

_SUCCEEDED = Status.SUCCEEDED.value


class AttemptCounts(Protocol):
    """What the lane of a webhook counts."""

    def delivered(
        self, duration: float, latency: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a delivery that has succeeded, as :meth:`WebhookMetrics.delivered`."""

    def attempt_failed(
        self, error_type: str, duration: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a failed attempt, as :meth:`WebhookMetrics.attempt_failed`."""

    def outcome(self, outcome: str) -> None:
        """Counts a delivery that has ended without success."""


class UnlabelledMetrics:
    """What a webhook without a label of its own counts: for the label ``other``, and for its own
    history, which takes the counts away every few seconds.

    ``changed`` gets it when it first counts after that; while that has no room, it counts for the
    label alone.
    """

    __slots__ = ("_changed", "_shared", "attempts", "failed", "latency", "outcomes", "webhook")

    def __init__(self, webhook: str, shared: WebhookMetrics, changed: "Changed") -> None:
        self.webhook = webhook
        self._shared = shared
        self._changed = changed
        self.attempts = self.failed = 0
        self.outcomes: dict[str, int] = {}
        self.latency: list[int] | None = None

    def delivered(
        self, duration: float, latency: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a delivery that has succeeded, as :meth:`WebhookMetrics.delivered`."""
        self._shared.delivered(duration, latency, at, traceparent)
        if self._counts():
            self.attempts += 1
            self.outcomes[_SUCCEEDED] = self.outcomes.get(_SUCCEEDED, 0) + 1
            if self.latency is None:
                self.latency = no_latencies()
            self.latency[bisect_left(LATENCY_BOUNDS, latency)] += 1

    def attempt_failed(
        self, error_type: str, duration: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a failed attempt, as :meth:`WebhookMetrics.attempt_failed`."""
        self._shared.attempt_failed(error_type, duration, at, traceparent)
        if self._counts():
            self.attempts += 1
            self.failed += 1

    def outcome(self, outcome: str) -> None:
        """Counts a delivery that has ended without success."""
        self._shared.outcome(outcome)
        if self._counts():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def clear(self) -> None:
        """Begins again."""
        self.attempts = self.failed = 0
        self.outcomes = {}
        self.latency = None

    def _counts(self) -> bool:
        return bool(self.attempts or self.outcomes) or self._changed.add(self)


class Changed:
    """The webhooks without a label that have counted something, at most ``most`` at a time;
    ``skipped`` says whether others have, too."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._webhooks: list[UnlabelledMetrics] = []
        self.skipped = False

    def add(self, webhook: UnlabelledMetrics) -> bool:
        """Adds one that is not in it; False if there is no room."""
        if len(self._webhooks) >= self._most:
            self.skipped = True
            return False
        self._webhooks.append(webhook)
        return True

    def take(self) -> tuple[list[UnlabelledMetrics], bool]:
        """What has changed since the last call, and whether others have, too."""
        webhooks, skipped = self._webhooks, self.skipped
        self._webhooks, self.skipped = [], False
        return webhooks, skipped
