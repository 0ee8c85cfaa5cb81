"""Metrics, with names and units as Prometheus recommends."""

import itertools
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

MAX_WEBHOOKS = 500
MAX_TYPES = 500
MAX_ORIGINS = 100
MAX_ORIGIN = 64  # characters; a header names the origin, which any publisher can set
PREFIX = "event_gateway"
CONTENT_TYPE = CONTENT_TYPE_LATEST
_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_DURATION = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class _Distribution:
    """A histogram: the number of values in each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative counts by upper bound, in the form of the exposition."""
        names = [*map(floatToGoString, self.bounds), "+Inf"]
        return list(zip(names, itertools.accumulate(self.counts), strict=True))


class WebhookMetrics:
    """The metrics of one webhook, collected when Prometheus reads them. The library's own counters
    would take a lock and three calls each, six times for every delivery."""

    def __init__(self) -> None:
        self.attempts: dict[str, int] = {}
        self.outcomes: dict[str, int] = {}
        self.expression_errors = 0
        self.latency = _Distribution(_LATENCY)
        self.duration = _Distribution(_DURATION)

    def attempt(self, error_type: str | None, seconds: float) -> None:
        """Counts an attempt and its duration. ``error_type`` is None if it succeeded."""
        name = error_type or ""
        self.attempts[name] = self.attempts.get(name, 0) + 1
        self.duration.observe(seconds)

    def outcome(self, outcome: str) -> None:
        """Counts a delivery that has ended."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class _PerWebhook(Collector):
    """Collects the metrics of all webhooks when they are read."""

    def __init__(self, webhooks: Mapping[str, WebhookMetrics]) -> None:
        self._webhooks = webhooks

    def collect(self) -> Iterator[Metric]:
        deliveries = CounterMetricFamily(
            f"{PREFIX}_deliveries", "Deliveries that ended.", labels=["webhook", "outcome"]
        )
        attempts = CounterMetricFamily(
            f"{PREFIX}_attempts", "Attempts; error_type is empty for success.",
            labels=["webhook", "error_type"],
        )  # fmt: skip
        latency = HistogramMetricFamily(
            f"{PREFIX}_delivery_latency_seconds", "From the event's receipt to success.",
            labels=["webhook"],
        )  # fmt: skip
        duration = HistogramMetricFamily(
            f"{PREFIX}_attempt_duration_seconds", "How long an attempt took.", labels=["webhook"]
        )
        errors = CounterMetricFamily(
            f"{PREFIX}_expression_errors", "Evaluations of the webhook's expression without a "
            "value.", labels=["webhook"],
        )  # fmt: skip
        for label, webhook in self._webhooks.items():
            if webhook.expression_errors:
                errors.add_metric([label], webhook.expression_errors)
            for outcome, number in webhook.outcomes.items():
                deliveries.add_metric([label, outcome], number)
            for error_type, number in webhook.attempts.items():
                attempts.add_metric([label, error_type], number)
            for family, distribution in ((latency, webhook.latency), (duration, webhook.duration)):
                family.add_metric([label], distribution.buckets(), distribution.sum)
        yield from (deliveries, attempts, latency, duration, errors)


class StreamMetrics:
    """The metrics of named streams; subscriptions to subjects have the empty stream name."""

    def __init__(self, common: dict[str, Any]) -> None:
        self.subscribers = Gauge("stream_subscribers", "Live subscribers.", ["stream"], **common)
        self._sent = Counter(
            "stream_messages_sent", "Events sent to subscribers.", ["stream"], **common
        )
        self._slow = Counter(
            "stream_slow_consumers", "Subscribers that fell behind the live feed.", **common
        )

    def sent(self, stream: str, count: int) -> None:
        """Counts events sent to subscribers."""
        self._sent.labels(stream).inc(count)

    def slow(self) -> None:
        """Counts a subscriber that fell behind."""
        self._slow.inc()


class HttpMetrics:
    """Figures of the API's connections."""

    def __init__(self, common: dict[str, Any]) -> None:
        self._connections = Gauge(
            "http_connections", "Open connections; live: WebSocket and SSE.", ["kind"], **common
        )
        self._refused = Counter(
            "http_connections_refused", "Connections over a bound, or closed to make room.",
            ["reason"], **common,
        )  # fmt: skip
        self._timed_out = Counter(
            "http_connections_timed_out",
            "Connections whose client did not send or read in time.",
            ["waiting_for"],
            **common,
        )
        self._requests_refused = Counter(
            "http_requests_refused", "Requests answered before any route.", ["status"], **common
        )
        self._handshakes_failed = Counter(
            "tls_handshakes_failed", "TLS handshakes of clients that failed.", ["kind"], **common
        )
        self._logins_failed = Counter(
            "failed_logins", "Credentials that were wrong, or not looked at (limited).",
            ["reason"], **common,
        )  # fmt: skip
        self._requests_limited = Counter(
            "requests_limited", "Requests beyond what their caller may send.", **common
        )
        self._common = common
        self._certificate_expiry: Gauge | None = None

    def connections(self, http: int, live: int) -> None:
        """Sets the number of open connections."""
        self._connections.labels("http").set(http)
        self._connections.labels("live").set(live)

    def refused(self, reason: str) -> None:
        """Counts a connection that was refused, or closed to make room."""
        self._refused.labels(reason).inc()

    def timed_out(self, waiting_for: str) -> None:
        """Counts a connection that was closed because its client took too long."""
        self._timed_out.labels(waiting_for).inc()

    def login_failed(self, reason: str) -> None:
        """Counts a failed login: a credential that is ``wrong``, or ``limited``."""
        self._logins_failed.labels(reason).inc()

    def request_limited(self) -> None:
        """Counts a request beyond what its caller may send."""
        self._requests_limited.inc()

    def handshake_failed(self, kind: str) -> None:
        """Counts a TLS handshake that failed."""
        self._handshakes_failed.labels(kind).inc()

    def certificate_expires(self, at: float) -> None:
        """Sets when the gateway's own certificate ends, in seconds since the epoch. Without TLS
        there is no such metric."""
        if self._certificate_expiry is None:
            self._certificate_expiry = Gauge(
                "tls_certificate_expiry_timestamp_seconds",
                "When the certificate of the API ends, since the epoch.", **self._common,
            )  # fmt: skip
        self._certificate_expiry.set(at)

    def request_refused(self, status: int) -> None:
        """Counts a request that the HTTP layer refused."""
        self._requests_refused.labels(str(status)).inc()


class Metrics:
    """All metrics of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        common: Any = {"namespace": PREFIX, "registry": self.registry}
        self._received = Counter("events_received", "Events received.", ["origin"], **common)
        self._rejected = Counter("events_rejected", "Rejected input.", ["reason"], **common)
        self._lag = Gauge("consumer_lag", "Events in the log that are not routed yet.", **common)
        self._lag_seconds = Gauge(
            "consumer_lag_seconds", "The age of the oldest event that is not routed yet.", **common
        )
        self._duplicates = Counter(
            "events_duplicate",
            "Events that were published again under the same source and id.",
            **common,
        )
        self._violations = Counter(
            "schema_violations",
            "Events whose data is not valid under the schema of their type.",
            ["type", "enforce"],
            **common,
        )
        self._types: set[str] = set()
        self.disk_free = Gauge(
            "disk_free_bytes", "Free on the disk of the embedded servers.", **common
        )
        self.queue_depth = Gauge(
            "queue_depth",
            "Deliveries that are not final.",
            ["webhook"],
            **common,
        )
        self.throttled_seconds = Gauge(
            "throttled_seconds",
            "For how long the receiver has asked for no requests.",
            ["webhook"],
            **common,
        )
        self.streams = StreamMetrics(common)
        self.http = HttpMetrics(common)
        self._fallbacks = Counter(
            "transformation_fallbacks",
            "Requests made with standard in place of a missing transformation.",
            ["transformation"],
            **common,
        )
        self._missing: set[str] = set()  # the transformations among its labels
        self._issuer_key_fetches = Counter(
            "issuer_key_fetches",
            "Requests for the keys of an issuer of tokens.",
            ["issuer", "outcome"],
            **common,
        )
        self._task_crashes = Counter(
            "task_crashes", "Crashes of background tasks.", ["task"], **common
        )
        self._origins = {origin: self._received.labels(origin) for origin in ("nats", "http")}
        self._webhooks: dict[str, WebhookMetrics] = {}
        self.registry.register(_PerWebhook(self._webhooks))

    def received(self, origin: str, count: int) -> None:
        """Counts events read from the log, by their origin. After the first 100 origins the others
        share the label ``other``."""
        counter = self._origins.get(origin)
        if counter is None:
            if len(self._origins) >= MAX_ORIGINS or len(origin) > MAX_ORIGIN:
                origin = "other"
            counter = self._origins.setdefault(origin, self._received.labels(origin))
        counter.inc(count)

    def task_crashed(self, task: str) -> None:
        """Counts a crash of a background task."""
        self._task_crashes.labels(task).inc()

    def issuer_keys_fetched(self, issuer: str, succeeded: bool) -> None:
        """Counts a request for the keys of an issuer, of which the configuration has a few."""
        self._issuer_key_fetches.labels(issuer, "succeeded" if succeeded else "failed").inc()

    def rejected(self, reason: str) -> None:
        """Counts input that is not an event."""
        self._rejected.labels(reason).inc()

    def lag(self, events: int, seconds: float) -> None:
        """Events that are not routed yet, and for how long the oldest of them has waited."""
        self._lag.set(events)
        self._lag_seconds.set(seconds)

    def duplicate(self) -> None:
        """Counts an event that was published again."""
        self._duplicates.inc()

    def fell_back(self, transformation: str) -> None:
        """Counts a request that used the standard transformation in place of a missing one."""
        if transformation not in self._missing:
            if len(self._missing) >= MAX_WEBHOOKS:
                transformation = "other"
            self._missing.add(transformation)
        self._fallbacks.labels(transformation).inc()

    def schema_violation(self, event_type: str, enforce: str) -> None:
        """Counts an event whose data is not valid. After the first 500 types the others share the
        label ``other``."""
        if event_type not in self._types:
            if len(self._types) >= MAX_TYPES:
                event_type = "other"
            else:
                self._types.add(event_type)
        self._violations.labels(event_type, enforce).inc()

    def webhook(self, webhook_id: str) -> WebhookMetrics:
        """The metrics of a webhook. Webhooks after the first 500 share the label ``other``."""
        label = webhook_id
        if webhook_id not in self._webhooks and len(self._webhooks) >= MAX_WEBHOOKS:
            label = "other"
        if label not in self._webhooks:
            self._webhooks[label] = WebhookMetrics()
        return self._webhooks[label]

    def text(self) -> bytes:
        """The text that a Prometheus server reads."""
        return generate_latest(self.registry)
