"""Answers about webhooks."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Duration, Json, Manager, Time, Warned


class BatchAnswer(TypedDict):
    """The limits of a request in mode batch."""

    max_events: int
    max_bytes: int
    max_wait: Duration


class RetryPolicyAnswer(TypedDict):
    """How many attempts the gateway makes, and when."""

    max_attempts: int
    backoff: str
    initial_delay: Duration
    multiplier: float
    max_delay: Duration
    schedule: list[Duration] | None
    jitter: float
    max_age: Duration | None


class RateLimitAnswer(TypedDict):
    """How many attempts all processes together may start in a period."""

    events: int
    per: Duration


class CircuitBreakerAnswer(TypedDict):
    """When attempts to a failing receiver stop."""

    failure_threshold: int
    open_for: Duration


class TlsAnswer(TypedDict):
    """TLS to the receiver."""

    ca: str | None


class VerificationAnswer(TypedDict):
    """The state of the handshake with the receiver."""

    verified_at: Time | None
    allowed_rate: Json
    last_error: str | None
    next_try_at: Time | None


class DisabledAnswer(TypedDict):
    """Why and since when the gateway has disabled the webhook."""

    reason: str
    at: Time


class QueueAnswer(TypedDict):
    """The queue of a webhook. ``depth``: its deliveries, including those that are attempted now;
    ``oldest_seconds``: the age of the oldest event; ``breaker``: the state of the circuit breaker.
    """

    depth: int
    oldest_seconds: float
    breaker: Literal["closed", "open", "half_open"]


class WebhookAnswer(TypedDict):
    """A webhook, with the names of secrets, never their values."""

    id: str
    url: str
    events: list[str]
    filters: list[Json]
    cloudevents_filters: list[Json]
    namespaces: list[str]
    sources: list[str]
    expression: str | None
    transformation: str
    mode: str
    method: str
    content_type: str | None
    batch: BatchAnswer
    retry_policy: RetryPolicyAnswer
    retry_on: list[int | str] | None
    timeout: Duration
    concurrency: int
    rate_limit: RateLimitAnswer | None
    circuit_breaker: CircuitBreakerAnswer
    disable_after: Duration
    ordered: bool | dict[str, str]
    verify: bool
    tls: TlsAnswer
    headers: dict[str, str]
    enrich: bool
    security: list[dict[str, Any]]
    enabled: bool
    description: str | None
    metadata: dict[str, Any]
    renamed_from: str | None
    managed_by: Manager
    owner: list[str]
    created_at: Time
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    verification: VerificationAnswer | None
    disabled: DisabledAnswer | None
    expression_errors: NotRequired[Json]
    queue: NotRequired[QueueAnswer | None]


class ChangedWebhook(WebhookAnswer):
    """A webhook after a change."""

    warnings: list[Warned]


class ReceivedResponse(TypedDict):
    """The beginning of a receiver's response."""

    headers: dict[str, str]
    body: str
    truncated: bool


class SentRequest(TypedDict):
    """A request as it was sent, without the webhook's secrets."""

    method: str
    url: str
    headers: dict[str, str]
    body: str
    truncated: bool


class TriedWebhook(TypedDict):
    """What was sent as a sample request, and what the receiver answered."""

    webhook_id: str
    event: CloudEvent
    duration_ms: int
    succeeded: bool
    status_code: int | None
    error_type: str | None
    error_message: str | None
    request: SentRequest | None
    response: ReceivedResponse | None


class HandshakeAnswer(TypedDict):
    """What the receiver answered to the handshake."""

    webhook_id: str
    verified: bool
    status_code: int | None
    allowed_origin: str | None
    allowed_rate: Json
    error_type: str | None
    error_message: str | None


class Counts(TypedDict):
    """Counts of deliveries. ``success_rate``: successful deliveries per attempt."""

    attempts: int
    succeeded: int
    success_rate: float | None
    dead_lettered: int
    cancelled: int
    mean_latency_seconds: float | None


class BreakerAnswer(TypedDict):
    """The circuit breaker of a webhook."""

    state: Literal["closed", "open", "half_open"]
    open_since: Time | None
    next_probe_at: Time | None


class WebhookStats(Counts):
    """The state of a webhook's deliveries over all processes. ``events_behind``: of an ordered
    webhook, how many events of the log it has not come to yet, whether they match or not."""

    webhook_id: str
    state: str
    breaker: BreakerAnswer
    throttled_until: Time | None
    failing_since: Time | None
    in_flight: int
    queue_depth: int
    waiting: int
    events_behind: int | None
    oldest_waiting_at: Time | None
    oldest_waiting_seconds: float | None
    attempts_per_second: float
    last_success_at: Time | None
    last_failure_at: Time | None
    last_24h: Counts


class FailedCondition(TypedDict):
    """The first condition of a webhook that does not hold of an event."""

    condition: str
    detail: str


class MatchedWebhook(TypedDict):
    """Whether an event would reach a webhook."""

    webhook_id: str
    matches: bool
    state: str
    failed: FailedCondition | None


class Matches(TypedDict):
    """Which webhooks an event would reach."""

    matched: list[str]
    matched_count: int
    items: list[MatchedWebhook]
    next: str | None
    total: int
    total_is_estimate: bool


class ExpressionError(TypedDict):
    """An error of an evaluation, in the words of the language; of CESQL with its place in the
    expression, in characters from 0."""

    type: str
    message: str
    position: NotRequired[int]


class ExpressionValue(TypedDict):
    """The value of an expression for an event."""

    value: Json
    errors: list[ExpressionError]


class PreviewedRequest(TypedDict):
    """The request that the gateway would send."""

    transformation: str | None
    method: str
    url: str | None
    headers: dict[str, str]
    authentication: list[str]
    content_type: str | None
    bytes: int
    body: NotRequired[Json]
    body_base64: NotRequired[str]


class TriedEvent(TypedDict):
    """Whether an event would match a definition; ``failed``: else the first condition that does not
    hold."""

    id: str
    source: str
    type: str
    matches: bool
    failed: FailedCondition | None


class CheckedWebhook(TypedDict):
    """The result of the check of a definition. ``existing``: the caller has a webhook of this id;
    ``sample``: the event from which ``request`` was made. Where no request can be made of it,
    ``request`` is null and ``request_error`` says why."""

    webhook: WebhookAnswer
    existing: bool
    warnings: list[Warned]
    events: list[TriedEvent]
    sample: CloudEvent
    request: PreviewedRequest | None
    request_error: str | None
