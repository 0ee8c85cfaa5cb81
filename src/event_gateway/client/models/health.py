"""The types of bodies and answers of the tag `health`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "AlertStates",
    "Alive",
    "ComponentHealth",
    "GatewayHealth",
    "HealthReason",
    "OverviewAnswer",
    "ProcessHealth",
    "QueueOverview",
    "Readiness",
    "WaitingWebhook",
    "WebhookStates",
]


class AlertStates(TypedDict):
    """How many alerts there are in each state."""

    firing: int
    pending: int


class Alive(TypedDict):
    """The process runs."""

    status: Literal["ok"]
    version: str


class ComponentHealth(TypedDict):
    """A part of the gateway: its status over all processes, and figures of the process that
    answers."""

    status: Literal["ok", "degraded"]


class GatewayHealth(TypedDict):
    """The health of the gateway. `since`: when the status changed last, null if it never has;
    `announced`: whether `gateway.health.degraded` of this episode is published.
    `recovering`: there is no reason any more, and soon the status is `ok`; `last_reasons`:
    the reasons that there were until then."""

    status: Literal["ok", "degraded"]
    since: str | None
    announced: bool
    version: str
    reasons: list[HealthReason]
    recovering: bool
    last_reasons: list[HealthReason]
    components: dict[str, ComponentHealth]
    processes: list[ProcessHealth]


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


class ProcessHealth(TypedDict):
    """A live process. `leader`: it announces health and alerts; `answers`: it has answered
    this request; `reasons`: the codes of the reasons that it sees."""

    process: str
    host: str
    pid: int
    version: str
    started_at: str | None
    leader: bool
    answers: bool
    reasons: list[str]


class QueueOverview(TypedDict):
    """The deliveries that wait. `complete`: false if more webhooks have waiting deliveries
    than the gateway has looked at; `worst`: the webhooks whose deliveries have waited
    longest, the longest first."""

    waiting: int
    oldest_seconds: float
    breakers_not_closed: int
    webhooks: int
    complete: bool
    worst: list[WaitingWebhook]


class Readiness(TypedDict):
    """Whether the process can do its work, and what is wrong otherwise."""

    status: Literal["ok", "degraded", "unavailable"]
    reasons: list[str]


class WaitingWebhook(TypedDict):
    """A webhook with deliveries that wait. `oldest_seconds`: how long ago the oldest of their
    events was received."""

    webhook_id: str
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    breaker: Literal["closed", "open", "half_open"]
    queue_depth: int
    oldest_seconds: float


class WebhookStates(TypedDict):
    """How many webhooks there are in each state."""

    active: int
    paused: int
    disabled: int
    unverified: int
    orphaned: int
    renamed: int
