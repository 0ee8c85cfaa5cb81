"""What this process has counted since the last time: differences of its metrics."""

from collections.abc import Iterable, Mapping

from event_gateway.core.observability.history_points import GatewayPoint, WebhookPoint
from event_gateway.core.webhook.delivery import Status
from event_gateway.observability.metrics import (
    OTHER,
    Metrics,
    UnlabelledMetrics,
    WebhookMetrics,
    families,
)
from event_gateway.observability.metrics.family import MetricFamily
from event_gateway.observability.metrics.figures import Labels

_OUTCOMES = (Status.SUCCEEDED, Status.DEAD_LETTER, Status.CANCELLED)
# What changes whenever a webhook counts something: attempts, and deliveries that ended.
_Mark = tuple[int, int]


class ProcessCounts:
    """Takes the differences of ``metrics``, which count from the start of the process on."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._before: dict[str, tuple[_Mark, WebhookPoint]] = {}
        self._counters: dict[MetricFamily, Mapping[Labels, float]] = {}

    def take(self, time: int) -> tuple[GatewayPoint, dict[str, WebhookPoint], bool]:
        """What was counted since the last call, as points at ``time``: of the process, and of each
        webhook with attempts or ended deliveries; and whether some webhooks are missing."""
        point = GatewayPoint(
            time,
            received=self._grown(families.EVENTS_RECEIVED),
            duplicates=self._grown(families.EVENTS_DUPLICATE),
            rejected=self._grown(families.EVENTS_REJECTED),
            streamed=self._grown(families.STREAM_SENT),
        )
        webhooks = dict(self._labelled(time))
        changed, skipped = self._metrics.changed.take()
        for more in webhooks.values():
            point.count_webhook(more)
        webhooks.pop(OTHER, None)  # those have points of their own
        for each in changed:
            more = _of_unlabelled(each, time)
            each.clear()
            if each.webhook in webhooks:
                webhooks[each.webhook].add(more)
            else:
                webhooks[each.webhook] = more
        return point, webhooks, skipped

    def _labelled(self, time: int) -> Iterable[tuple[str, WebhookPoint]]:
        now = self._metrics.webhooks
        for label in self._before.keys() - now.keys():
            del self._before[label]
        for label, metrics in now.items():
            mark = sum(metrics.attempts.values()), sum(metrics.outcomes.values())
            before = self._before.get(label)
            if before is not None and before[0] == mark:
                continue
            total = _total(metrics)
            self._before[label] = mark, total
            grown = _difference(total, None if before is None else before[1], time)
            if any((grown.attempts, grown.succeeded, grown.dead_letters, grown.cancelled)):
                yield label, grown

    def _grown(self, family: MetricFamily) -> int:
        """By how much a counter has grown, over all labels; one that has gone counts no more."""
        now = dict(self._metrics.figures.labels_of(family))
        before = self._counters.get(family, {})
        self._counters[family] = now
        return round(sum(max(value - before.get(labels, 0), 0) for labels, value in now.items()))


def _total(metrics: WebhookMetrics) -> WebhookPoint:
    attempts = sum(metrics.attempts.values())
    succeeded, dead_letters, cancelled = (metrics.outcomes.get(name, 0) for name in _OUTCOMES)
    return WebhookPoint(
        0, succeeded, dead_letters, cancelled, attempts,
        attempts - metrics.attempts.get("", 0), latency=list(metrics.latency.counts),
    )  # fmt: skip


def _difference(total: WebhookPoint, before: WebhookPoint | None, time: int) -> WebhookPoint:
    if before is None or before.attempts > total.attempts:  # counted from 0 again
        before = WebhookPoint(0)
    return WebhookPoint(
        time,
        total.succeeded - before.succeeded,
        total.dead_letters - before.dead_letters,
        total.cancelled - before.cancelled,
        total.attempts - before.attempts,
        total.failed_attempts - before.failed_attempts,
        latency=[now - then for now, then in zip(total.latency, before.latency, strict=True)],
    )


def _of_unlabelled(counted: UnlabelledMetrics, time: int) -> WebhookPoint:
    succeeded, dead_letters, cancelled = (counted.outcomes.get(name, 0) for name in _OUTCOMES)
    point = WebhookPoint(time, succeeded, dead_letters, cancelled, counted.attempts, counted.failed)
    if counted.latency is not None:
        point.latency = counted.latency
    return point
