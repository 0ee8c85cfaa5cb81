"""Metrics, in Prometheus' names and units."""

from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MAX_WEBHOOKS = 500
PREFIX = "event_gateway"
CONTENT_TYPE = CONTENT_TYPE_LATEST
_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_DURATION = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads


class WebhookMetrics:
    """One webhook's figures, with their labels bound once."""

    def __init__(self, metrics: "Metrics", label: str) -> None:
        self._attempts, self._deliveries, self._label = metrics.attempts, metrics.deliveries, label
        self._errors: dict[str, Counter] = {}
        self._outcomes: dict[str, Counter] = {}
        self.latency = metrics.latency.labels(label)
        self.duration = metrics.duration.labels(label)

    def attempt(self, error_type: str | None, seconds: float) -> None:
        """Counts an attempt and how long it took; None: it succeeded."""
        name = error_type or ""
        counter = self._errors.get(name)
        if counter is None:
            counter = self._errors[name] = self._attempts.labels(self._label, name)
        counter.inc()
        self.duration.observe(seconds)

    def outcome(self, outcome: str) -> None:
        """Counts a delivery that has come to its end."""
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = self._deliveries.labels(self._label, outcome)
        counter.inc()


class Metrics:
    """All figures of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        here: Any = {"namespace": PREFIX, "registry": self.registry}
        self._received = Counter("events_received", "Events taken in.", ["origin"], **here)
        self._rejected = Counter("events_rejected", "Input set aside.", ["reason"], **here)
        self.deliveries = Counter(
            "deliveries",
            "Deliveries that ended.",
            ["webhook", "outcome"],
            **here,
        )
        self.attempts = Counter(
            "attempts",
            "Attempts; error_type is empty for success.",
            ["webhook", "error_type"],
            **here,
        )
        self.latency = Histogram(
            "delivery_latency_seconds", "From the event's receipt to success.", ["webhook"],
            buckets=_LATENCY, **here,
        )  # fmt: skip
        self.duration = Histogram(
            "attempt_duration_seconds", "How long an attempt took.", ["webhook"],
            buckets=_DURATION, **here,
        )  # fmt: skip
        self.queue_depth = Gauge(
            "queue_depth",
            "Deliveries that are not final.",
            ["webhook"],
            **here,
        )
        self.subscribers = Gauge("stream_subscribers", "Live subscribers.", ["stream"], **here)
        self.sent = Counter(
            "stream_messages_sent",
            "Events sent to subscribers.",
            ["stream"],
            **here,
        )
        self._from_nats = self._received.labels("nats")
        self._from_http = self._received.labels("http")
        self._webhooks: dict[str, WebhookMetrics] = {}

    def received(self, nats: int, http: int) -> None:
        """Counts events taken from the log, by where they came in."""
        self._from_nats.inc(nats)
        self._from_http.inc(http)

    def rejected(self, reason: str) -> None:
        """Counts input that is no event."""
        self._rejected.labels(reason).inc()

    def webhook(self, webhook_id: str) -> WebhookMetrics:
        """The figures of one webhook; past the first 500 they share the label ``other``."""
        label = webhook_id
        if webhook_id not in self._webhooks and len(self._webhooks) >= MAX_WEBHOOKS:
            label = "other"
        if label not in self._webhooks:
            self._webhooks[label] = WebhookMetrics(self, label)
        return self._webhooks[label]

    def text(self) -> bytes:
        """The exposition that a Prometheus server reads."""
        return generate_latest(self.registry)
