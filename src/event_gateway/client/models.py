"""The types of bodies and answers.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """A page of a list. ``next`` is the cursor of the page that follows, None after the
    last."""

    items: list[Item]
    next: str | None


class Accepted(TypedDict):
    """Events that the log has confirmed."""

    accepted: int
    duplicates: int
    items: list[AcceptedEvent]


class AcceptedEvent(TypedDict):
    """An event in the log. `duplicate`: it was there already."""

    id: str
    sequence: int
    duplicate: bool


class AlertAnswer(TypedDict):
    """An alert. `webhook`: null for the alert over all webhooks. `since`: when its condition
    began to hold. `silenced`: the silence that applies now. `announced`: the event of its
    state was published; `not_announced_because`: why none is."""

    name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
    webhook: str | None
    state: Literal["pending", "firing", "resolved"]
    severity: Literal["warning", "critical"]
    since: str
    fired_at: str | None
    resolved_at: str | None
    detail: str
    value: float
    threshold: float
    resolved_because: str | None
    silenced: SilenceAnswer | None
    announced: bool
    not_announced_because: str | None
    runbook: str


class AlertStates(TypedDict):
    """How many alerts there are in each state."""

    firing: int
    pending: int


class Alive(TypedDict):
    """The process runs."""

    status: Literal["ok"]
    version: str


class AsyncApi(TypedDict):
    """An AsyncAPI 3.0 document."""

    asyncapi: str
    info: Any
    channels: Any
    operations: Any


class AuditedCall(TypedDict):
    """A call that changed something, or was refused. `unknown`: it is going on, or its process
    ended before it had; `unreadable`: the record is none of the gateway's, and has `seq`
    and `time` only. `unrecorded`: refused calls before this one that were too many to
    record."""

    seq: int
    time: str
    outcome: Literal["succeeded", "refused", "failed", "unknown", "unreadable"]
    id: NotRequired[str]
    ended_at: NotRequired[str | None]
    principal: NotRequired[WhoAnswer | None]
    client: NotRequired[str | None]
    request_id: NotRequired[str | None]
    operation: NotRequired[str]
    resource: NotRequired[str | None]
    status: NotRequired[int | None]
    before: NotRequired[Any]
    after: NotRequired[Any]
    unrecorded: NotRequired[int]
    process: NotRequired[str]
    number: NotRequired[int]


class BatchAnswer(TypedDict):
    """The limits of a request in mode batch."""

    max_events: int
    max_bytes: int
    max_wait: str


class BatchModel(TypedDict):
    """The limits of a request in mode batch: the first that is reached applies."""

    max_events: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    max_wait: NotRequired[str | None]


class BreakerAnswer(TypedDict):
    """The circuit breaker of a webhook."""

    state: Literal["closed", "open", "half_open"]
    open_since: str | None
    next_probe_at: str | None


class BulkDeliveries(TypedDict):
    """What became of the deliveries that were meant. `failed_omitted`: failures beyond the
    first hundred; `next`: repeat the request with it as `cursor` to go on."""

    action: Literal["retry", "cancel"]
    webhook: str
    dry_run: bool
    matched: int
    changed: int
    failed: list[FailedDelivery]
    failed_omitted: int
    next: str | None


class BulkWebhooks(TypedDict):
    """What became of the webhooks that were meant. `changed`: those that were changed, or
    would be; `unchanged`: how many are so already."""

    action: Literal["enable", "disable"]
    dry_run: bool
    matched: int
    changed: list[str]
    unchanged: int
    failed: list[FailedWebhook]


class ChangeDeliveriesBody(TypedDict):
    """ChangeDeliveriesBody."""

    action: Literal["cancel", "retry"]
    webhook: str
    status: NotRequired[
        list[
            Literal[
                "cancelled",
                "dead_letter",
                "failed",
                "in_progress",
                "pending",
                "retrying",
                "succeeded",
            ]
        ]
        | None
    ]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    limit: NotRequired[int]
    cursor: NotRequired[str | None]
    dry_run: NotRequired[bool]


class ChangeEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: NotRequired[str | None]
    description: NotRequired[str | None]
    owner: NotRequired[str | None]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any | None]
    examples: NotRequired[list[Any] | None]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class ChangeKeyBody(TypedDict):
    """What changes of a key."""

    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    streams: NotRequired[list[str] | None]
    expires_in: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    limits: NotRequired[RequestLimitModel | None]
    name: NotRequired[str]
    scopes: NotRequired[list[str]]


class ChangeStreamBody(TypedDict):
    """A stream of the API: as in the configuration, with its name."""

    subjects: NotRequired[list[str] | None]
    retention: NotRequired[str | None]
    max_messages: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    compliance: NotRequired[bool | None]
    compression: NotRequired[Literal["s2", "none"] | None]
    replicas: NotRequired[int | None]
    name: NotRequired[str | None]
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


class ChangedKey(TypedDict):
    """An API key after a change."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None
    warnings: list[Warned]


class ChangedStream(TypedDict):
    """A stream after a change."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    warnings: list[Warned]


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
    warnings: list[Warned]


class CircuitBreakerAnswer(TypedDict):
    """When attempts to a failing receiver stop."""

    failure_threshold: int
    open_for: str


class CircuitBreakerModel(TypedDict):
    """When to stop attempts to a receiver that only fails."""

    failure_threshold: NotRequired[int | None]
    open_for: NotRequired[str | None]


class CloudEvent(TypedDict):
    """A CloudEvent 1.0 in the JSON format; any other member is an extension attribute, whose
    name consists of lower-case letters and digits."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: NotRequired[str]
    time: NotRequired[str]
    datacontenttype: NotRequired[str]
    dataschema: NotRequired[str]
    data: NotRequired[Any]
    data_base64: NotRequired[str]


class ComponentHealth(TypedDict):
    """A part of the gateway: its status over all processes, and figures of the process that
    answers."""

    status: Literal["ok", "degraded"]


class Counts(TypedDict):
    """Counts of deliveries. `success_rate`: successful deliveries per attempt."""

    attempts: int
    succeeded: int
    success_rate: float | None
    dead_lettered: int
    cancelled: int
    mean_latency_seconds: float | None


class CreateEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: str
    description: NotRequired[str]
    owner: NotRequired[str]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any]
    examples: NotRequired[list[Any]]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class CreateKeyBody(TypedDict):
    """A new key."""

    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    streams: NotRequired[list[str] | None]
    expires_in: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    limits: NotRequired[RequestLimitModel | None]
    name: str
    scopes: list[str]


class CreateReplayBody(TypedDict):
    """CreateReplayBody."""

    webhook: str
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    from_seq: NotRequired[int | None]
    until_seq: NotRequired[int | None]
    stream: NotRequired[str]
    types: NotRequired[list[str]]
    dry_run: NotRequired[bool]


class CreateSilenceBody(TypedDict):
    """CreateSilenceBody."""

    name: NotRequired[str | None]
    webhook: NotRequired[str | None]
    duration: NotRequired[str | None]
    until: NotRequired[str | None]
    comment: NotRequired[str]


class CreateStreamBody(TypedDict):
    """A stream of the API: as in the configuration, with its name."""

    subjects: list[str]
    retention: NotRequired[str | None]
    max_messages: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    compliance: NotRequired[bool]
    compression: NotRequired[Literal["s2", "none"]]
    replicas: NotRequired[int | None]
    name: str
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


class CreateTokenBody(TypedDict):
    """CreateTokenBody."""

    streams: NotRequired[list[str]]
    subjects: NotRequired[list[str]]
    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    expires_in: NotRequired[str]
    principal: NotRequired[str]


class DeadLetterAnswer(TypedDict):
    """A dead letter with its event, all attempts, and the webhook as it was then."""

    id: int
    time: str
    webhook_id: str
    url: str
    reason: str
    event_id: str
    event_type: str
    source: str
    last_error: str | None
    stream: str
    sequence: int
    run: int
    replayed_at: str | None
    attempts: list[dict[str, Any]]
    webhook: Any
    event: CloudEvent


class DecideRepairBody(TypedDict):
    """DecideRepairBody."""

    reread: bool


class DeliveryAnswer(TypedDict):
    """A delivery with its attempts, and the id of its latest dead letter."""

    webhook_id: str
    event_id: str
    source: str
    status: DeliveryStatus
    updated_at: str
    last_error: str | None
    next_attempt_at: str | None
    stream: str
    sequence: int
    run: int
    repeats: str | None
    attempts: list[dict[str, Any]]
    dead_letter: int | None


DeliveryStatus = Literal[
    "pending", "in_progress", "retrying", "failed", "succeeded", "dead_letter", "cancelled"
]


class DisabledAnswer(TypedDict):
    """Why and since when the gateway has disabled the webhook."""

    reason: str
    at: str


class EpisodeAnswer(TypedDict):
    """One time that an alert fired; `resolved_at`: null while it does."""

    name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
    webhook: str | None
    severity: Literal["warning", "critical"]
    since: str
    fired_at: str
    resolved_at: str | None
    detail: str
    value: float
    resolved_because: str | None


class EvaluateExpressionBody(TypedDict):
    """The expression, and the event for which it is evaluated."""

    dialect: NotRequired[Literal["cel"]]
    expression: str
    event: CloudEvent


class EventAnswer(TypedDict):
    """An event, where it is, and what became of it. `event` is null where only deliveries of
    it are known. `next`: further webhooks."""

    event: CloudEvent | None
    source: str
    stream: str
    sequence: int
    received_at: str | None
    origin: str | None
    message: MessageOfEvent | None
    routed: bool
    repeats: list[PlaceOfEvent]
    others: list[PlaceOfEvent]
    webhooks: list[WebhookOfEvent]
    matched_count: int
    next: str | None
    streams: list[StreamOfEvent]
    causes: list[RelatedEvent]
    effects: list[RelatedEvent]
    unknown: list[Unknown]


class EventToMatch(TypedDict):
    """The event to match."""

    event: CloudEvent


class EventTypeAnswer(TypedDict):
    """An event type. `in_force`: what the gateway does with events that violate its schema."""

    type: str
    description: str
    owner: str
    dataschema: str | None
    schema: NotRequired[Any]
    examples: list[Any]
    enforce: str | None
    in_force: Literal["off", "warn", "reject"]
    managed_by: str
    created_at: str | None
    updated_at: str | None


class ExpressionError(TypedDict):
    """Why an expression has no value."""

    type: str
    message: str


class ExpressionValue(TypedDict):
    """The value of an expression for an event."""

    value: Any
    errors: list[ExpressionError]


class FailedCondition(TypedDict):
    """The first condition of a webhook that does not hold of an event."""

    condition: str
    detail: str


class FailedDelivery(TypedDict):
    """A delivery that was not changed, and why."""

    event_id: str
    source: str
    detail: str


class FailedWebhook(TypedDict):
    """A webhook that was not changed, and why."""

    id: str
    detail: str


_FilterModel = TypedDict("_FilterModel", {"not": "NotRequired[FilterModel | None]"})


class FilterModel(_FilterModel):
    """A condition on an event (field and operator), or a group: one of all, any and not."""

    field: NotRequired[str | None]
    operator: NotRequired[str | None]
    value: NotRequired[Any]
    all: NotRequired[list[FilterModel] | None]
    any: NotRequired[list[FilterModel] | None]


class GatewayHealth(TypedDict):
    """The health of the gateway. `since`: since when the status is as it is, null if it never
    was another; `announced`: whether `gateway.health.degraded` of this episode is
    published. `recovering`: there is no reason any more, and soon the status is `ok`;
    `last_reasons`: what the reasons were until then."""

    status: Literal["ok", "degraded"]
    since: str | None
    announced: bool
    version: str
    reasons: list[HealthReason]
    recovering: bool
    last_reasons: list[HealthReason]
    components: dict[str, ComponentHealth]
    processes: list[ProcessHealth]


class HandshakeAnswer(TypedDict):
    """What the receiver answered to the handshake."""

    webhook_id: str
    verified: bool
    status_code: int | None
    allowed_origin: str | None
    allowed_rate: Any
    error_type: str | None
    error_message: str | None


class HealthReason(TypedDict):
    """Why the health is degraded. `processes`: those that see it, as host/process id; `see`: a
    heading of docs/operations.md, or empty."""

    code: str
    text: str
    since: str
    component: str
    remedy: str
    see: str
    processes: list[str]


class Imported(TypedDict):
    """The names of the event types in a document."""

    dry_run: bool
    created: list[str]
    changed: list[str]
    unchanged: list[str]
    skipped: list[SkippedMessage]
    skipped_omitted: int


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


class KeyAnswer(TypedDict):
    """An API key, without its value. `file`: where the admin key is."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None


class ListedDeadLetter(TypedDict):
    """A dead letter in a list. `attempts` counts them."""

    id: int
    time: str
    webhook_id: str
    url: str
    reason: str
    event_id: str
    event_type: str
    source: str
    last_error: str | None
    stream: str
    sequence: int
    run: int
    replayed_at: str | None
    attempts: int


class ListedDelivery(TypedDict):
    """A delivery in a list. `attempts` counts them."""

    webhook_id: str
    event_id: str
    source: str
    status: DeliveryStatus
    updated_at: str
    last_error: str | None
    next_attempt_at: str | None
    stream: str
    sequence: int
    run: int
    repeats: str | None
    attempts: int


class ListedEvent(TypedDict):
    """An event in a list."""

    event: CloudEvent
    source: str
    stream: str
    sequence: int
    received_at: str
    origin: str


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


class MessageOfEvent(TypedDict):
    """The message as it came in: its NATS subject, its headers, the bytes of its body."""

    subject: str
    headers: dict[str, str]
    bytes: int


class Missed(TypedDict):
    """Sequences that the stream does not have any more."""

    first: int
    last: int
    code: NotRequired[Literal["stream_recreated"]]


class NewKey(TypedDict):
    """An API key with its value, which is shown this once."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None
    warnings: list[Warned]
    key: str


class NewToken(TypedDict):
    """A token with its text, which is shown this once."""

    id: str
    principal: str
    streams: list[str]
    subjects: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    issued_by: TokenIssuer
    expires_at: str
    token: str
    warnings: list[Warned]


class OrderedModel(TypedDict):
    """Which events are delivered in order."""

    by: str


class OverviewAnswer(TypedDict):
    """The gateway as its caller may see it. `status` is the health of the whole gateway;
    `dead_letters`: null for a narrowed caller; `queues`: null while Redis cannot be
    reached."""

    version: str
    time: str
    status: Literal["ok", "degraded"]
    processes: int
    webhooks: WebhookStates
    streams: int
    alerts: AlertStates
    dead_letters: int | None
    queues: QueueOverview | None


class PlaceOfEvent(TypedDict):
    """A place of an event in the log."""

    source: str
    stream: str
    sequence: int
    received_at: str


class PlanAnswer(TypedDict):
    """What changes in the registry, step by step."""

    steps: list[PlannedStep]


class PlannedDifference(TypedDict):
    """A member of a definition that changes."""

    key: str
    before: Any
    after: Any


class PlannedLoss(TypedDict):
    """What a step would lose: so many deliveries that wait, events that an ordered webhook has
    not come to yet, or messages of a stream; null: it is not known how many."""

    what: Literal["deliveries", "events", "messages"]
    count: int | None
    reason: str


class PlannedStep(TypedDict):
    """A change of one definition. `former`: the id that a webhook was renamed from."""

    action: Literal["create", "change", "rename", "delete", "release"]
    kind: Literal["webhook", "stream"]
    name: str
    former: str
    differences: list[PlannedDifference]
    loss: PlannedLoss | None


class PreviewTransformationBody(TypedDict):
    """The event, and the transformation: a name, or a definition without a Python function."""

    event: CloudEvent
    transformation: NotRequired[str | TransformationModel | None]
    webhook: NotRequired[str | None]


class PreviewedRequest(TypedDict):
    """The request that the gateway would send."""

    transformation: str | None
    method: str
    url: str | None
    headers: dict[str, str]
    authentication: list[str]
    content_type: str | None
    bytes: int
    body: NotRequired[Any]
    body_base64: NotRequired[str]


class ProcessHealth(TypedDict):
    """A live process. `leader`: it announces health and alerts; `answers`: it has answered
    this request; `reasons`: the codes of what it sees."""

    process: str
    host: str
    pid: int
    version: str
    started_at: str | None
    leader: bool
    answers: bool
    reasons: list[str]


class Purged(TypedDict):
    """How many dead letters were deleted, or would be. `next`: repeat the request with it."""

    purged: int
    dry_run: bool
    next: str | None


class PutEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: NotRequired[str]
    description: NotRequired[str]
    owner: NotRequired[str]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any]
    examples: NotRequired[list[Any]]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class QueueOverview(TypedDict):
    """What waits for delivery. `complete`: false if more webhooks have deliveries that wait
    than were looked at; `worst`: the webhooks whose deliveries wait longest, the worst
    first."""

    waiting: int
    oldest_seconds: float
    breakers_not_closed: int
    webhooks: int
    complete: bool
    worst: list[WaitingWebhook]


class RateLimitAnswer(TypedDict):
    """How many attempts all processes together may start in a period."""

    events: int
    per: str


class RateLimitModel(TypedDict):
    """How many attempts all processes together may start in a period."""

    events: int
    per: NotRequired[str | None]


class Readiness(TypedDict):
    """Whether the process can do its work, and what is wrong otherwise."""

    status: Literal["ok", "degraded", "unavailable"]
    reasons: list[str]


class ReceivedResponse(TypedDict):
    """The beginning of a receiver's response."""

    headers: dict[str, str]
    body: str
    truncated: bool


class RejectedAnswer(TypedDict):
    """Input that is no valid event, with its original bytes in `data` or `data_base64`."""

    seq: int
    time: str
    reason: str
    detail: str
    path: str | None
    subject: str
    stream: str
    sequence: int
    headers: Any
    cut: bool
    data: NotRequired[str]
    data_base64: NotRequired[str]


class RelatedEvent(TypedDict):
    """A cause or an effect of an event; `by` is the attribute that says so."""

    id: str
    source: str
    type: str
    stream: str
    sequence: int
    received_at: str
    by: str


class ReloadConfigurationBody(TypedDict):
    """`force`: reload even if deliveries that wait, or messages of a stream, are lost.
    `dry_run`: only say what would change and be lost."""

    force: NotRequired[bool]
    dry_run: NotRequired[bool]


class Reloaded(TypedDict):
    """What a reload has changed, or, with `dry_run`, would change."""

    reloaded: bool
    plan: PlanAnswer


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


class ReplayAnswer(TypedDict):
    """A replay and its progress, `progress` from 0 to 1."""

    id: str
    of: Literal["log", "dead_letters"]
    webhook: str | None
    stream: str | None
    types: list[str]
    reason: str | None
    since: str | None
    until: str | None
    from_seq: int
    until_seq: int
    dry_run: bool
    created_at: str
    state: Literal["running", "paused", "cancelled", "done", "failed"]
    progress: float
    position: int | None
    looked_at: int | None
    matched: int
    queued: int
    skipped: int
    error: str | None
    updated_at: str | None
    ended_at: str | None


class ReplayDeadLettersBody(TypedDict):
    """ReplayDeadLettersBody."""

    ids: NotRequired[list[int] | None]
    webhook: NotRequired[str | None]
    types: NotRequired[list[str]]
    reason: NotRequired[str | None]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    all: NotRequired[bool]
    dry_run: NotRequired[bool]


class RequestLimitAnswer(TypedDict):
    """How many requests a key may send to a process."""

    requests: int
    per: str


class RequestLimitModel(TypedDict):
    """How many requests a key may send to a process, in place of `server.limits`."""

    requests: int
    per: NotRequired[str]


class RequestOfAttempt(TypedDict):
    """An attempt, and the request as it was sent. The gateway keeps no requests: it is made
    again by what makes them, from the event and the webhook as it is now; `differs` says in
    what."""

    attempt: dict[str, Any]
    request: Any
    differs: list[str]


class Reread(TypedDict):
    """The streams whose events are read again."""

    streams: list[str]


class Resealed(TypedDict):
    """How many secrets were sealed again."""

    resealed: int


class ResendEventBody(TypedDict):
    """ResendEventBody."""

    source: NotRequired[str | None]
    webhooks: NotRequired[list[str] | None]
    dry_run: NotRequired[bool]


class ResentDelivery(TypedDict):
    """What was done for a webhook."""

    webhook_id: str
    result: Literal["queued", "waiting", "newer", "done"]
    detail: str | None


class ResentEvent(TypedDict):
    """An event that is sent once more, or would be."""

    event_id: str
    source: str
    dry_run: bool
    queued: int
    items: list[ResentDelivery]


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
    """How many attempts the gateway makes, and when."""

    max_attempts: NotRequired[int | None]
    backoff: NotRequired[str | None]
    initial_delay: NotRequired[str | None]
    multiplier: NotRequired[float | None]
    max_delay: NotRequired[str | None]
    schedule: NotRequired[list[str] | None]
    jitter: NotRequired[float | None]
    max_age: NotRequired[str | None]


class RotateKeyBody(TypedDict):
    """How a key is rotated."""

    overlap: NotRequired[str]


class RotateSecretBody(TypedDict):
    """The next value of a secret; `overlap`: how long the former one signs too (24h)."""

    value: str
    overlap: NotRequired[str | None]


class RotateSigningKeyBody(TypedDict):
    """The next value of a secret; `overlap`: how long the former one signs too (24h)."""

    value: str
    overlap: NotRequired[str | None]


class SealedSecret(TypedDict):
    """A secret in the sealed store. `former_until`: when values that were replaced end."""

    updated_at: str
    key_id: str
    readable: bool
    former_until: list[str]


_SecretAnswer = TypedDict(
    "_SecretAnswer", {"from": "Literal['environment', 'file', 'sealed'] | None"}
)


class SecretAnswer(_SecretAnswer):
    """A secret without its value. `from`: where the value in use comes from."""

    name: str
    namespaces: list[str]
    sealed: SealedSecret | None
    used_by: list[str]


class SecurityModel(TypedDict):
    """One way to authenticate to a receiver."""

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


class SetSecretBody(TypedDict):
    """The value of a secret. `namespaces`: those whose webhooks may use it; without this
    member they stay as they are."""

    value: str
    namespaces: NotRequired[list[str] | None]


class SilenceAnswer(TypedDict):
    """A silence: alerts of this name, about this webhook, or both, are not announced."""

    id: str
    name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"] | None
    webhook: str | None
    until: str
    comment: str
    created_at: str
    created_by: str


class SkippedMessage(TypedDict):
    """A message of a document that is not registered."""

    place: str
    reason: str


class StreamAnswer(TypedDict):
    """A stream, and what it holds."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    state: StreamContents


class StreamContents(TypedDict):
    """What a stream holds."""

    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    first_time: str | None


class StreamMessage(TypedDict):
    """An event at its position in a stream."""

    seq: int
    time: str
    event: CloudEvent


class StreamMessages(TypedDict):
    """Events of a stream, in order."""

    items: list[StreamMessage]
    next: str | None
    missed: NotRequired[Missed]


class StreamOfEvent(TypedDict):
    """A named stream that takes the event's subject; `sequence` null where it has no copy."""

    name: str
    sequence: int | None
    reason: str | None


class StreamOutline(TypedDict):
    """A stream as a caller sees it that is narrowed to namespaces, types or streams."""

    name: str
    subjects: list[str]


class Subscribers(TypedDict):
    """Subscribers of a stream. `complete` is false if a process did not answer."""

    count: int
    complete: bool
    items: list[SubscriptionAnswer]


_SubscriptionAnswer = TypedDict("_SubscriptionAnswer", {"from": "Any"})


class SubscriptionAnswer(_SubscriptionAnswer):
    """A live subscription. `since`: when it began; `from`: where, as the client asked."""

    id: str
    stream: str | None
    subjects: list[str]
    principal: str
    method: str | None
    key: str | None
    since: str
    durable: str | None
    position: int
    lag: int | None
    lagging: bool
    sent: int
    process: str


class SubscriptionPage(TypedDict):
    """Live subscriptions. `complete` is false if a process did not answer."""

    items: list[SubscriptionAnswer]
    next: str | None
    complete: bool


class Taken(TypedDict):
    """Where in the log the input is now."""

    sequence: int


class TlsAnswer(TypedDict):
    """TLS to the receiver."""

    ca: str | None


class TlsModel(TypedDict):
    """TLS to a receiver."""

    ca: NotRequired[str | None]


class TokenAnswer(TypedDict):
    """A token for a browser, without its text."""

    id: str
    principal: str
    streams: list[str]
    subjects: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    issued_by: TokenIssuer
    expires_at: str


class TokenIssuer(TypedDict):
    """The key that issued a token: its id and its name."""

    method: str
    key: str
    name: str


class TransformationModel(TypedDict):
    """A transformation of your own: one of `base`, `template` and `python`."""

    base: NotRequired[str | None]
    format: NotRequired[str | None]
    platform: NotRequired[str | None]
    template: NotRequired[Any]
    content_type: NotRequired[str | None]
    python: NotRequired[str | None]


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


class Unknown(TypedDict):
    """What the gateway cannot say, and why."""

    what: str
    why: str


class VerificationAnswer(TypedDict):
    """How far the handshake with the receiver is."""

    verified_at: str | None
    allowed_rate: Any
    last_error: str | None
    next_try_at: str | None


class WaitAnswer(TypedDict):
    """A reason why a delivery has not ended; `until` where a time is known."""

    reason: str
    detail: str
    until: str | None


class WaitingWebhook(TypedDict):
    """A webhook with deliveries that wait. `oldest_seconds`: how long ago the oldest of their
    events was received."""

    webhook_id: str
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    breaker: Literal["closed", "open", "half_open"]
    queue_depth: int
    oldest_seconds: float


class Warned(TypedDict):
    """What will not work as the owner of a definition may expect; `detail` begins with the key
    of the definition."""

    code: str
    detail: str


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


class WebhookOfEvent(TypedDict):
    """What became of an event at a webhook: its delivery, or in `reason` the first condition
    that does not hold."""

    id: str
    matched: bool
    state: str
    reason: NotRequired[str]
    status: NotRequired[str | None]
    attempts: NotRequired[int]
    max_attempts: NotRequired[int]
    run: NotRequired[int]
    repeats: NotRequired[str | None]
    updated_at: NotRequired[str]
    next_attempt_at: NotRequired[str | None]
    last_error: NotRequired[str | None]
    not_retried: NotRequired[str | None]
    dead_letter: NotRequired[int | None]
    waits: NotRequired[list[WaitAnswer]]
    unknown: NotRequired[str | None]
    requests: NotRequired[list[RequestOfAttempt]]


class WebhookStates(TypedDict):
    """How many webhooks there are in each state."""

    active: int
    paused: int
    disabled: int
    unverified: int
    orphaned: int
    renamed: int


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


class WhoAnswer(TypedDict):
    """Who made a change. `method`: how a caller has proved itself; `file`: the configuration
    file, `gateway`: the gateway itself. The others narrow what the caller may do."""

    name: str
    method: str
    id: str
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None


class WholeStream(TypedDict):
    """A stream, what it holds, its rate in events a second, and its first subscribers."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    state: StreamContents
    rate: float | None
    subscribers: Subscribers
