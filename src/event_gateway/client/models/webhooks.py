"""The types of bodies and answers of the tag `webhooks`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent, FailedCondition, PreviewedRequest, Warned

__all__ = [
    "BatchAnswer",
    "BatchModel",
    "BreakerAnswer",
    "BulkWebhooks",
    "ChangeWebhookBody",
    "ChangeWebhooksBody",
    "ChangedWebhook",
    "CheckWebhookBody",
    "CheckedWebhook",
    "CircuitBreakerAnswer",
    "CircuitBreakerModel",
    "Counts",
    "DisabledAnswer",
    "FailedWebhook",
    "FilterModel",
    "HandshakeAnswer",
    "JsonWebKey",
    "JsonWebKeys",
    "OrderedModel",
    "QueueAnswer",
    "RateLimitAnswer",
    "RateLimitModel",
    "ReceivedResponse",
    "ReplaceWebhookBody",
    "RetryPolicyAnswer",
    "RetryPolicyModel",
    "RotateSigningKeyBody",
    "SecurityModel",
    "SentRequest",
    "TlsAnswer",
    "TlsModel",
    "TriedEvent",
    "TriedWebhook",
    "TryWebhookBody",
    "VerificationAnswer",
    "WebhookAnswer",
    "WebhookBody",
    "WebhookStats",
]


class BatchAnswer(TypedDict):
    """The limits of a request in mode batch."""

    max_events: int
    max_bytes: int
    max_wait: str


class BatchModel(TypedDict):
    """The limits of a request in mode `batch`. The gateway sends it when it reaches one of
    them."""

    max_events: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    max_wait: NotRequired[str | None]


class BreakerAnswer(TypedDict):
    """The circuit breaker of a webhook."""

    state: Literal["closed", "open", "half_open"]
    open_since: str | None
    next_probe_at: str | None


class BulkWebhooks(TypedDict):
    """The result of a change of many webhooks. `matched`: how many webhooks the request
    selects; `changed`: the ids of those that were changed, or with `dry_run` would be;
    `unchanged`: how many had the requested state already."""

    action: Literal["enable", "disable"]
    dry_run: bool
    matched: int
    changed: list[str]
    unchanged: int
    failed: list[FailedWebhook]


class ChangeWebhookBody(TypedDict):
    """A webhook of the API: as in the configuration, with its id."""

    namespaces: NotRequired[list[str] | None]
    sources: NotRequired[list[str] | None]
    filters: NotRequired[list[FilterModel] | None]
    cloudevents_filters: NotRequired[list[dict[str, Any]] | None]
    expression: NotRequired[str | None]
    url: NotRequired[str | None]
    events: NotRequired[list[str] | None]
    transformation: NotRequired[str | None]
    mode: NotRequired[str | None]
    method: NotRequired[str | None]
    content_type: NotRequired[str | None]
    tls: NotRequired[TlsModel | None]
    batch: NotRequired[BatchModel | None]
    retry_policy: NotRequired[RetryPolicyModel | None]
    retry_on: NotRequired[list[int | str] | None]
    timeout: NotRequired[str | None]
    concurrency: NotRequired[int | None]
    rate_limit: NotRequired[RateLimitModel | None]
    circuit_breaker: NotRequired[CircuitBreakerModel | None]
    disable_after: NotRequired[str | None]
    ordered: NotRequired[bool | OrderedModel | None]
    verify: NotRequired[bool | None]
    headers: NotRequired[dict[str, str] | None]
    enrich: NotRequired[bool | None]
    security: NotRequired[list[SecurityModel] | None]
    enabled: NotRequired[bool | None]
    description: NotRequired[str | None]
    metadata: NotRequired[dict[str, Any] | None]
    renamed_from: NotRequired[str | None]
    id: NotRequired[str | None]
    managed_by: NotRequired[Any | None]
    owner: NotRequired[Any | None]
    created_at: NotRequired[Any | None]
    state: NotRequired[Any | None]
    disabled: NotRequired[Any | None]
    verification: NotRequired[Any | None]
    expression_errors: NotRequired[Any | None]
    rate: NotRequired[Any | None]
    subscribers: NotRequired[Any | None]
    warnings: NotRequired[Any | None]
    holds: NotRequired[Any | None]
    in_force: NotRequired[Any | None]
    secret_state: NotRequired[Any | None]
    requests: NotRequired[Any | None]


class ChangeWebhooksBody(TypedDict):
    """ChangeWebhooksBody."""

    action: Literal["disable", "enable"]
    ids: NotRequired[list[str] | None]
    state: NotRequired[
        Literal["active", "disabled", "orphaned", "paused", "renamed", "unverified"] | None
    ]
    event: NotRequired[str | None]
    owner: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    metadata: NotRequired[dict[str, str] | None]
    all: NotRequired[bool]
    dry_run: NotRequired[bool]


class ChangedWebhook(TypedDict):
    """A webhook after a change."""

    id: str
    url: str
    events: list[str]
    filters: list[Any]
    cloudevents_filters: list[Any]
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
    timeout: str
    concurrency: int
    rate_limit: RateLimitAnswer | None
    circuit_breaker: CircuitBreakerAnswer
    disable_after: str
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
    managed_by: str
    owner: list[str]
    created_at: str
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    verification: VerificationAnswer | None
    disabled: DisabledAnswer | None
    expression_errors: NotRequired[Any]
    queue: NotRequired[QueueAnswer | None]
    warnings: list[Warned]


class CheckWebhookBody(TypedDict):
    """The definition of a webhook, and at most 100 events that it may be for."""

    webhook: dict[str, Any]
    events: NotRequired[list[CloudEvent]]


class CheckedWebhook(TypedDict):
    """The result of the check of a definition. `existing`: the caller has a webhook of this
    id; `sample`: the event from which `request` was made. Where no request can be made of
    it, `request` is null and `request_error` says why."""

    webhook: WebhookAnswer
    existing: bool
    warnings: list[Warned]
    events: list[TriedEvent]
    sample: CloudEvent
    request: PreviewedRequest | None
    request_error: str | None


class CircuitBreakerAnswer(TypedDict):
    """When attempts to a failing receiver stop."""

    failure_threshold: int
    open_for: str


class CircuitBreakerModel(TypedDict):
    """When the gateway stops attempts to a failing receiver."""

    failure_threshold: NotRequired[int | None]
    open_for: NotRequired[str | None]


class Counts(TypedDict):
    """Counts of deliveries. `success_rate`: successful deliveries per attempt."""

    attempts: int
    succeeded: int
    success_rate: float | None
    dead_lettered: int
    cancelled: int
    mean_latency_seconds: float | None


class DisabledAnswer(TypedDict):
    """Why and since when the gateway has disabled the webhook."""

    reason: str
    at: str


class FailedWebhook(TypedDict):
    """A webhook that was not changed, and why."""

    id: str
    detail: str


_FilterModel = TypedDict("_FilterModel", {"not": "NotRequired[FilterModel | None]"})


class FilterModel(_FilterModel):
    """A condition on an event (`field`, `operator` and `value`), or a group: one of `all`,
    `any` and `not`."""

    field: NotRequired[str | None]
    operator: NotRequired[str | None]
    value: NotRequired[Any]
    all: NotRequired[list[FilterModel] | None]
    any: NotRequired[list[FilterModel] | None]


class HandshakeAnswer(TypedDict):
    """What the receiver answered to the handshake."""

    webhook_id: str
    verified: bool
    status_code: int | None
    allowed_origin: str | None
    allowed_rate: Any
    error_type: str | None
    error_message: str | None


class JsonWebKey(TypedDict):
    """A public key (RFC 8037); `whpk` is the key as Standard Webhooks writes it."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str
    whpk: str


class JsonWebKeys(TypedDict):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[JsonWebKey]


class OrderedModel(TypedDict):
    """Which events are delivered in order."""

    by: str


class QueueAnswer(TypedDict):
    """The queue of a webhook. `depth`: its deliveries, including those that are attempted now;
    `oldest_seconds`: the age of the oldest event; `breaker`: the state of the circuit
    breaker."""

    depth: int
    oldest_seconds: float
    breaker: Literal["closed", "open", "half_open"]


class RateLimitAnswer(TypedDict):
    """How many attempts all processes together may start in a period."""

    events: int
    per: str


class RateLimitModel(TypedDict):
    """The maximum rate of attempts, over all processes of the gateway."""

    events: int
    per: NotRequired[str | None]


class ReceivedResponse(TypedDict):
    """The beginning of a receiver's response."""

    headers: dict[str, str]
    body: str
    truncated: bool


class ReplaceWebhookBody(TypedDict):
    """A webhook of the API: as in the configuration, with its id."""

    namespaces: NotRequired[list[str]]
    sources: NotRequired[list[str]]
    filters: NotRequired[list[FilterModel]]
    cloudevents_filters: NotRequired[list[dict[str, Any]]]
    expression: NotRequired[str | None]
    url: str
    events: list[str]
    transformation: NotRequired[str | None]
    mode: NotRequired[str | None]
    method: NotRequired[str | None]
    content_type: NotRequired[str | None]
    tls: NotRequired[TlsModel]
    batch: NotRequired[BatchModel]
    retry_policy: NotRequired[RetryPolicyModel]
    retry_on: NotRequired[list[int | str] | None]
    timeout: NotRequired[str | None]
    concurrency: NotRequired[int | None]
    rate_limit: NotRequired[RateLimitModel | None]
    circuit_breaker: NotRequired[CircuitBreakerModel]
    disable_after: NotRequired[str | None]
    ordered: NotRequired[bool | OrderedModel]
    verify: NotRequired[bool]
    headers: NotRequired[dict[str, str]]
    enrich: NotRequired[bool | None]
    security: NotRequired[list[SecurityModel]]
    enabled: NotRequired[bool | None]
    description: NotRequired[str | None]
    metadata: NotRequired[dict[str, Any]]
    renamed_from: NotRequired[str | None]
    id: NotRequired[str]
    managed_by: NotRequired[Any]
    owner: NotRequired[Any]
    created_at: NotRequired[Any]
    state: NotRequired[Any]
    disabled: NotRequired[Any]
    verification: NotRequired[Any]
    expression_errors: NotRequired[Any]
    rate: NotRequired[Any]
    subscribers: NotRequired[Any]
    warnings: NotRequired[Any]
    holds: NotRequired[Any]
    in_force: NotRequired[Any]
    secret_state: NotRequired[Any]
    requests: NotRequired[Any]


class RetryPolicyAnswer(TypedDict):
    """How many attempts the gateway makes, and when."""

    max_attempts: int
    backoff: str
    initial_delay: str
    multiplier: float
    max_delay: str
    schedule: list[str] | None
    jitter: float
    max_age: str | None


class RetryPolicyModel(TypedDict):
    """How often and when the gateway retries a delivery."""

    max_attempts: NotRequired[int | None]
    backoff: NotRequired[str | None]
    initial_delay: NotRequired[str | None]
    multiplier: NotRequired[float | None]
    max_delay: NotRequired[str | None]
    schedule: NotRequired[list[str] | None]
    jitter: NotRequired[float | None]
    max_age: NotRequired[str | None]


class RotateSigningKeyBody(TypedDict):
    """The next value of a secret; `overlap`: how long the former one signs too (24h)."""

    value: str
    overlap: NotRequired[str | None]


class SecurityModel(TypedDict):
    """One way in which the gateway authenticates to the receiver."""

    auth_type: Literal[
        "none",
        "api_key",
        "bearer_token",
        "basic",
        "oauth2_client_credentials",
        "hmac_signature",
        "mtls",
    ]
    secret_name: NotRequired[str | None]
    header: NotRequired[str | None]
    username: NotRequired[str | None]
    token_url: NotRequired[str | None]
    client_id: NotRequired[str | None]
    scope: NotRequired[str | None]
    client_auth: NotRequired[str | None]
    audience: NotRequired[str | None]
    params: NotRequired[dict[str, str]]
    cert: NotRequired[str | None]
    key: NotRequired[str | None]
    ca: NotRequired[str | None]


class SentRequest(TypedDict):
    """A request as it was sent, without the webhook's secrets."""

    method: str
    url: str
    headers: dict[str, str]
    body: str
    truncated: bool


class TlsAnswer(TypedDict):
    """TLS to the receiver."""

    ca: str | None


class TlsModel(TypedDict):
    """How the gateway checks the receiver's certificate."""

    ca: NotRequired[str | None]


class TriedEvent(TypedDict):
    """Whether an event would match a definition; `failed`: else the first condition that does
    not hold."""

    id: str
    source: str
    type: str
    matches: bool
    failed: FailedCondition | None


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


class TryWebhookBody(TypedDict):
    """The event to send to the receiver."""

    event: CloudEvent


class VerificationAnswer(TypedDict):
    """The state of the handshake with the receiver."""

    verified_at: str | None
    allowed_rate: Any
    last_error: str | None
    next_try_at: str | None


class WebhookAnswer(TypedDict):
    """A webhook, with the names of secrets, never their values."""

    id: str
    url: str
    events: list[str]
    filters: list[Any]
    cloudevents_filters: list[Any]
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
    timeout: str
    concurrency: int
    rate_limit: RateLimitAnswer | None
    circuit_breaker: CircuitBreakerAnswer
    disable_after: str
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
    managed_by: str
    owner: list[str]
    created_at: str
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    verification: VerificationAnswer | None
    disabled: DisabledAnswer | None
    expression_errors: NotRequired[Any]
    queue: NotRequired[QueueAnswer | None]


class WebhookBody(TypedDict):
    """A webhook of the API: as in the configuration, with its id."""

    namespaces: NotRequired[list[str]]
    sources: NotRequired[list[str]]
    filters: NotRequired[list[FilterModel]]
    cloudevents_filters: NotRequired[list[dict[str, Any]]]
    expression: NotRequired[str | None]
    url: str
    events: list[str]
    transformation: NotRequired[str | None]
    mode: NotRequired[str | None]
    method: NotRequired[str | None]
    content_type: NotRequired[str | None]
    tls: NotRequired[TlsModel]
    batch: NotRequired[BatchModel]
    retry_policy: NotRequired[RetryPolicyModel]
    retry_on: NotRequired[list[int | str] | None]
    timeout: NotRequired[str | None]
    concurrency: NotRequired[int | None]
    rate_limit: NotRequired[RateLimitModel | None]
    circuit_breaker: NotRequired[CircuitBreakerModel]
    disable_after: NotRequired[str | None]
    ordered: NotRequired[bool | OrderedModel]
    verify: NotRequired[bool]
    headers: NotRequired[dict[str, str]]
    enrich: NotRequired[bool | None]
    security: NotRequired[list[SecurityModel]]
    enabled: NotRequired[bool | None]
    description: NotRequired[str | None]
    metadata: NotRequired[dict[str, Any]]
    renamed_from: NotRequired[str | None]
    id: str
    managed_by: NotRequired[Any]
    owner: NotRequired[Any]
    created_at: NotRequired[Any]
    state: NotRequired[Any]
    disabled: NotRequired[Any]
    verification: NotRequired[Any]
    expression_errors: NotRequired[Any]
    rate: NotRequired[Any]
    subscribers: NotRequired[Any]
    warnings: NotRequired[Any]
    holds: NotRequired[Any]
    in_force: NotRequired[Any]
    secret_state: NotRequired[Any]
    requests: NotRequired[Any]


class WebhookStats(TypedDict):
    """The state of a webhook's deliveries over all processes. `events_behind`: of an ordered
    webhook, how many events of the log it has not come to yet, whether they match or not."""

    attempts: int
    succeeded: int
    success_rate: float | None
    dead_lettered: int
    cancelled: int
    mean_latency_seconds: float | None
    webhook_id: str
    state: str
    breaker: BreakerAnswer
    throttled_until: str | None
    failing_since: str | None
    in_flight: int
    queue_depth: int
    waiting: int
    events_behind: int | None
    oldest_waiting_at: str | None
    oldest_waiting_seconds: float | None
    attempts_per_second: float
    last_success_at: str | None
    last_failure_at: str | None
    last_24h: Counts
