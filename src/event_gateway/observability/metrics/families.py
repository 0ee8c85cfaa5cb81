"""All metrics of the gateway. The reference page is generated from this list."""

from event_gateway.core.observability.history_points import LATENCY_BOUNDS
from event_gateway.observability.metrics.family import Combine, Kind, MetricFamily

_DURATION = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


def _counter(name: str, text: str, *labels: str) -> MetricFamily:
    return MetricFamily(name=name, kind=Kind.COUNTER, help=text, labels=labels)


def _gauge(
    name: str, text: str, *labels: str, combine: Combine = Combine.SUM, when: str = ""
) -> MetricFamily:
    return MetricFamily(
        name=name, kind=Kind.GAUGE, help=text, labels=labels, combine=combine, when=when
    )


def _leader(name: str, text: str, *labels: str, when: str = "") -> MetricFamily:
    return _gauge(name, text, *labels, combine=Combine.LEADER, when=when)


# Events

EVENTS_RECEIVED = _counter("events_received", "Events read from the log, by how they came in.",
                           "origin")  # fmt: skip
EVENTS_ROUTED = _counter("events_routed", "Events read from the log, by their type.", "type")
EVENTS_REJECTED = _counter("events_rejected", "Input that is no event.", "reason")
EVENTS_DUPLICATE = _counter(
    "events_duplicate", "Events that were published again under the same source and id."
)
SCHEMA_VIOLATIONS = _counter(
    "schema_violations", "Events whose data is not valid under the schema of their type.",
    "type", "enforce",
)  # fmt: skip
SOURCE_REQUESTS = _counter(
    "source_requests",
    "Requests to sources: accepted, duplicate, answered (a challenge or a confirmation), "
    "unreachable (its provider's certificate or keys could not be fetched), or why they were "
    "refused.",
    "source", "outcome",
)  # fmt: skip
CONSUMER_LAG = _leader("consumer_lag", "Events in the log that are not routed yet.")
CONSUMER_LAG_SECONDS = _leader(
    "consumer_lag_seconds", "The age of the oldest event that is not routed yet."
)

# Deliveries

DELIVERIES = _counter(
    "deliveries", "Deliveries that ended: succeeded, dead_letter or cancelled.",
    "webhook", "outcome",
)  # fmt: skip
ATTEMPTS = _counter(
    "attempts", "Attempts that ended; error_type is empty for a success.", "webhook", "error_type"
)
DELIVERY_LATENCY = MetricFamily(
    name="delivery_latency_seconds", kind=Kind.HISTOGRAM, labels=("webhook",),
    bounds=LATENCY_BOUNDS,
    help="From the receipt of an event to the success of its delivery.",
)  # fmt: skip
ATTEMPT_DURATION = MetricFamily(
    name="attempt_duration_seconds", kind=Kind.HISTOGRAM, labels=("webhook",), bounds=_DURATION,
    help="How long an attempt took, failed ones too.",
)  # fmt: skip
ATTEMPTS_IN_FLIGHT = _gauge("attempts_in_flight", "Attempts that run now.")
LANE_SYNCS = _counter(
    "lane_syncs",
    "Rounds, one a second (one in five seconds of a process without others), in which a process "
    "has applied to its lanes what Redis has of circuit breakers and throttled webhooks, and how "
    "many processes share each concurrency limit. It stands still while Redis cannot be reached.",
)
EXPRESSION_ERRORS = _counter(
    "expression_errors", "Evaluations of a webhook's expression that gave no value.", "webhook"
)
TRANSFORMATION_FALLBACKS = _counter(
    "transformation_fallbacks",
    "Requests made with standard in place of a missing transformation.", "transformation",
)  # fmt: skip

# Receivers

LAST_SUCCESS = _gauge(
    "webhook_last_success_timestamp_seconds",
    "When an attempt at the receiver last succeeded, since the epoch.",
    "webhook", combine=Combine.MAX, when="once there was one since the start",
)  # fmt: skip
LAST_FAILURE = _gauge(
    "webhook_last_failure_timestamp_seconds",
    "When an attempt at the receiver last failed, since the epoch.",
    "webhook", combine=Combine.MAX, when="once there was one since the start",
)  # fmt: skip
QUEUE_DEPTH = _leader(
    "queue_depth",
    "Deliveries in the queue, which are not final. Of an ordered webhook also the events that the "
    "log has behind its position, whether they match or not.", "webhook",
)  # fmt: skip
OLDEST_PENDING = _leader(
    "oldest_pending_seconds", "The age of the oldest event in the queue; 0 if it is empty.",
    "webhook",
)  # fmt: skip
DELIVERY_LAG = _leader(
    "delivery_lag_seconds",
    "For how long the delivery that is due longest has been due; 0 if none is. Planned retries and "
    "paused webhooks do not count.", "webhook",
)  # fmt: skip
BREAKER_STATE = _leader(
    "breaker_state", "The circuit breaker: 0 closed, 1 half-open, 2 open.", "webhook"
)
THROTTLED_SECONDS = _leader(
    "throttled_seconds", "For how long the receiver has asked for no requests.", "webhook"
)
WEBHOOK_STATE = _leader(
    "webhook_state",
    "1 for the state that the webhook is in: active, paused, disabled, unverified, orphaned or "
    "renamed.",
    "webhook", "state",
)  # fmt: skip
WEBHOOKS = _leader("webhooks", "Registered webhooks, by their state.", "state")

# Streams

STREAM_SUBSCRIBERS = _gauge(
    "stream_subscribers",
    "Live subscribers of a named stream; of subjects where the name is empty.", "stream",
)  # fmt: skip
STREAM_SENT = _counter("stream_messages_sent", "Events sent to live subscribers.", "stream")
STREAM_SLOW = _counter(
    "stream_slow_consumers", "Subscribers that fell behind the live feed, and read the stream."
)
CHAIN_MESSAGES = _counter(
    "chain_messages", "Messages of a compliance stream that its hash chain has covered.", "stream"
)
CHAIN_ANCHORS = _counter("chain_anchors", "Signed anchors of a compliance stream.", "stream")
CHAIN_LAG = _leader(
    "chain_lag", "Messages of a compliance stream that its hash chain does not cover yet.", "stream"
)
STREAM_MESSAGES = _leader(
    "stream_messages", "Messages in a JetStream stream of the gateway.", "stream"
)
STREAM_BYTES = _leader("stream_bytes", "Bytes in a JetStream stream of the gateway.", "stream")
STREAM_LIMIT_BYTES = _leader(
    "stream_limit_bytes", "The most bytes that a JetStream stream may have.", "stream",
    when="for streams with a limit",
)  # fmt: skip

# The gateway and its servers

BUILD_INFO = _gauge(
    "build_info", "1; the labels are the versions.", "version", "python", combine=Combine.MAX
)
PROCESSES = _leader("processes", "Live processes of the gateway on all hosts.")
LEADER = _gauge("leader", "1 if a process of this serve is the one that measures for all.")
SERVER_CONNECTED = _gauge(
    "server_connected", "1 if NATS or Redis answers, 0 if it does not: server is nats or redis.",
    "server", combine=Combine.MIN,
)  # fmt: skip
NATS_RECONNECTS = _counter("nats_reconnects", "Connections to NATS that were made again.")
HEALTH_DEGRADED = _leader("health_degraded", "1 if the health is degraded, 0 if it is ok.")
HEALTH_REASONS = _leader("health_reasons", "Reasons for which the health is degraded.", "code")
ALERTS = _leader("alerts", "Alerts, by their state: pending or firing.", "name", "state")
ALERT_FIRING = _leader(
    "alert_firing", "1 for each firing alert that is not silenced; over all if webhook is empty.",
    "name", "webhook",
)  # fmt: skip
TASK_CRASHES = _counter("task_crashes", "Crashes of background tasks.", "task")
TELEMETRY_SPANS = _counter(
    "telemetry_spans", "Spans of traces: exported to the collector, failed, or dropped.", "result"
)
LIMITS_REACHED = _counter(
    "limits_reached", "How often a limit refused or dropped something.", "limit"
)
DISK_FREE = _gauge(
    "disk_free_bytes", "Free on the disk of the embedded servers.", combine=Combine.MIN,
    when="with embedded servers",
)  # fmt: skip

# The API

HTTP_CONNECTIONS = _gauge(
    "http_connections",
    "Open connections of clients: http, live (WebSocket and SSE), admin (the admin port).",
    "kind",
)
HTTP_REFUSED = _counter(
    "http_connections_refused", "Connections over a bound, or closed to make room.", "reason"
)
HTTP_TIMED_OUT = _counter(
    "http_connections_timed_out", "Connections whose client did not send or read in time.",
    "waiting_for",
)  # fmt: skip
HTTP_REQUESTS_REFUSED = _counter(
    "http_requests_refused", "Requests answered before any route.", "status"
)
TLS_HANDSHAKES_FAILED = _counter(
    "tls_handshakes_failed", "TLS handshakes of clients that failed.", "kind"
)
FAILED_LOGINS = _counter(
    "failed_logins", "Credentials that were wrong, or not looked at (limited).", "reason"
)
REQUESTS_LIMITED = _counter("requests_limited", "Requests beyond what their caller may send.")
ISSUER_KEY_FETCHES = _counter(
    "issuer_key_fetches", "Requests for the keys of an issuer of tokens.", "issuer", "outcome"
)
CERTIFICATE_EXPIRY = _gauge(
    "tls_certificate_expiry_timestamp_seconds",
    "When the certificate of the API ends, since the epoch.",
    combine=Combine.MIN, when="with server.tls",
)  # fmt: skip
KEY_EXPIRY = _leader(
    "api_key_expiry_timestamp_seconds",
    "When the next API key ends, since the epoch.", when="while a key has an end",
)  # fmt: skip

# The processes, by the names that all exporters use


def _process(name: str, kind: Kind, text: str, combine: Combine = Combine.SUM) -> MetricFamily:
    return MetricFamily(name=name, kind=kind, help=text, combine=combine, prefix="process")


PROCESS_CPU = _process("cpu_seconds", Kind.COUNTER, "CPU time, of the user and the system.")
PROCESS_RSS = _process("resident_memory_bytes", Kind.GAUGE, "Resident memory.")
PROCESS_VIRTUAL = _process("virtual_memory_bytes", Kind.GAUGE, "Virtual memory.")
PROCESS_OPEN_FILES = _process("open_fds", Kind.GAUGE, "Open file descriptors.")
PROCESS_MAX_FILES = _process(
    "max_fds", Kind.GAUGE, "File descriptors that a process may have.", Combine.MIN
)
PROCESS_START = _process(
    "start_time_seconds", Kind.GAUGE, "When the youngest process started, since the epoch.",
    Combine.MAX,
)  # fmt: skip

SECTIONS: dict[str, tuple[MetricFamily, ...]] = {
    "Events": (
        EVENTS_RECEIVED, EVENTS_ROUTED, EVENTS_REJECTED, EVENTS_DUPLICATE, SCHEMA_VIOLATIONS,
        SOURCE_REQUESTS, CONSUMER_LAG, CONSUMER_LAG_SECONDS,
    ),
    "Deliveries": (
        DELIVERIES, ATTEMPTS, DELIVERY_LATENCY, ATTEMPT_DURATION, ATTEMPTS_IN_FLIGHT,
        LANE_SYNCS, EXPRESSION_ERRORS, TRANSFORMATION_FALLBACKS,
    ),
    "Receivers": (
        LAST_SUCCESS, LAST_FAILURE, QUEUE_DEPTH, OLDEST_PENDING, DELIVERY_LAG, BREAKER_STATE,
        THROTTLED_SECONDS, WEBHOOK_STATE, WEBHOOKS,
    ),
    "Streams": (
        STREAM_SUBSCRIBERS, STREAM_SENT, STREAM_SLOW, STREAM_MESSAGES, STREAM_BYTES,
        STREAM_LIMIT_BYTES, CHAIN_MESSAGES, CHAIN_ANCHORS, CHAIN_LAG,
    ),
    "The gateway and its servers": (
        BUILD_INFO, PROCESSES, LEADER, SERVER_CONNECTED, NATS_RECONNECTS, HEALTH_DEGRADED,
        HEALTH_REASONS, ALERTS, ALERT_FIRING, TASK_CRASHES, TELEMETRY_SPANS, LIMITS_REACHED,
        DISK_FREE,
    ),
    "The API": (
        HTTP_CONNECTIONS, HTTP_REFUSED, HTTP_TIMED_OUT, HTTP_REQUESTS_REFUSED,
        TLS_HANDSHAKES_FAILED, FAILED_LOGINS, REQUESTS_LIMITED, ISSUER_KEY_FETCHES,
        CERTIFICATE_EXPIRY, KEY_EXPIRY,
    ),
    "Processes": (
        PROCESS_CPU, PROCESS_RSS, PROCESS_VIRTUAL, PROCESS_OPEN_FILES, PROCESS_MAX_FILES,
        PROCESS_START,
    ),
}  # fmt: skip
FAMILIES = tuple(family for section in SECTIONS.values() for family in section)
BY_NAME = {family.full_name: family for family in FAMILIES}
