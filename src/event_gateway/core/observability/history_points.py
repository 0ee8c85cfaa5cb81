"""Points of the history: what was counted in a span of time, and how points are added up.

Points are arrays of integers, as Redis has them. The fields before ``subscribers`` are counts,
which add up over processes and over time. The fields from ``lag`` to ``oldest_ms`` are states; of
several the highest is kept, -1 is unknown.
"""

import operator
from collections.abc import Sequence
from itertools import pairwise

import msgspec

# The upper bounds of the latency buckets in seconds; the last bucket has none. Stored points have
# one number for each: a change of these bounds is a change of the stored format.
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
BUCKETS = len(LATENCY_BOUNDS) + 1
UNKNOWN = -1


def no_latencies() -> list[int]:
    """Empty latency buckets."""
    return [0] * BUCKETS


class GatewayPoint(msgspec.Struct, array_like=True):
    """The whole gateway in the span that begins at ``time`` (seconds since the epoch).

    ``covered``: for how many seconds of it a process counted. ``received``: events read from the
    log; ``duplicates``: those that were published again; ``rejected``: input that is no event.
    ``subscribers``: live subscribers at the end; of a span of several points the highest number.
    ``lag``: events not routed yet, ``lag_ms``: for how long the oldest has waited; ``waiting``:
    deliveries in the queues, ``oldest_ms``: the age of their oldest event. ``latency``: successes
    by the time since the receipt of the event.
    """

    time: int
    covered: int = 0
    received: int = 0
    duplicates: int = 0
    rejected: int = 0
    streamed: int = 0
    succeeded: int = 0
    dead_letters: int = 0
    cancelled: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    subscribers: int = 0
    lag: int = UNKNOWN
    lag_ms: int = UNKNOWN
    waiting: int = UNKNOWN
    oldest_ms: int = UNKNOWN
    latency: list[int] = msgspec.field(default_factory=no_latencies)

    @property
    def is_idle(self) -> bool:
        """Whether nothing happened and nothing waits, as far as is known."""
        return not any(getattr(self, name) for name in COUNTS) and not any(
            getattr(self, name) > 0 for name in (*STATES, "subscribers")
        )

    def add(self, more: "GatewayPoint") -> None:
        """Adds what another process counted in the same span."""
        self._count(more)
        self.covered = max(self.covered, more.covered)
        self.subscribers += more.subscribers

    def extend(self, more: "GatewayPoint") -> None:
        """Adds another part of the span."""
        self._count(more)
        self.covered += more.covered
        self.subscribers = max(self.subscribers, more.subscribers)

    def count_webhook(self, more: "WebhookPoint") -> None:
        """Adds what a webhook counted, but for its queue."""
        _count_attempts(self, more)

    def _count(self, more: "GatewayPoint") -> None:
        self.received += more.received
        self.duplicates += more.duplicates
        self.rejected += more.rejected
        self.streamed += more.streamed
        _count_attempts(self, more)
        self.lag = max(self.lag, more.lag)
        self.lag_ms = max(self.lag_ms, more.lag_ms)
        self.waiting = max(self.waiting, more.waiting)
        self.oldest_ms = max(self.oldest_ms, more.oldest_ms)


class WebhookPoint(msgspec.Struct, array_like=True):
    """A webhook in the span that begins at ``time`` (seconds since the epoch). The fields are those
    of :class:`GatewayPoint`."""

    time: int
    succeeded: int = 0
    dead_letters: int = 0
    cancelled: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    waiting: int = UNKNOWN
    latency: list[int] = msgspec.field(default_factory=no_latencies)

    def add(self, more: "WebhookPoint") -> None:
        """Adds what another process counted, or another part of the span."""
        _count_attempts(self, more)
        self.waiting = max(self.waiting, more.waiting)


WEBHOOK_COUNTS = ("succeeded", "dead_letters", "cancelled", "attempts", "failed_attempts")
COUNTS = ("received", "duplicates", "rejected", "streamed", *WEBHOOK_COUNTS)
STATES = ("lag", "lag_ms", "waiting", "oldest_ms")


def _count_attempts(total: GatewayPoint | WebhookPoint, more: GatewayPoint | WebhookPoint) -> None:
    # Not in a loop over names: a list of webhooks adds up tens of thousands of points.
    total.succeeded += more.succeeded
    total.dead_letters += more.dead_letters
    total.cancelled += more.cancelled
    total.attempts += more.attempts
    total.failed_attempts += more.failed_attempts
    total.latency = list(map(operator.add, total.latency, more.latency))


def quantile(share: float, counts: Sequence[int]) -> float | None:
    """The latency in seconds that a share of the values does not exceed; None without values.

    Within a bucket values are taken as evenly spread, as Prometheus' ``histogram_quantile`` does.
    A value in the last bucket, which has no upper bound, counts as that bucket's lower bound.
    """
    number = sum(counts)
    if not number:
        return None
    rank, below = share * number, 0
    for (low, high), count in zip(pairwise((0.0, *LATENCY_BOUNDS)), counts, strict=False):
        if count and below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below += count
    return float(LATENCY_BOUNDS[-1])
