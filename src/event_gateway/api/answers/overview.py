"""The answer about the gateway as a whole."""

from typing import Literal

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Time


class WebhookStates(TypedDict):
    """How many webhooks there are in each state."""

    active: int
    paused: int
    disabled: int
    unverified: int
    orphaned: int
    renamed: int


class AlertStates(TypedDict):
    """How many alerts there are in each state."""

    firing: int
    pending: int


class WaitingWebhook(TypedDict):
    """A webhook with deliveries that wait. ``oldest_seconds``: how long ago the oldest of their
    events was received."""

    webhook_id: str
    state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
    breaker: Literal["closed", "open", "half_open"]
    queue_depth: int
    oldest_seconds: float


class QueueOverview(TypedDict):
    """The deliveries that wait. ``complete``: false if more webhooks have waiting deliveries than
    the gateway has looked at; ``worst``: the webhooks whose deliveries have waited longest, the
    longest first."""

    waiting: int
    oldest_seconds: float
    breakers_not_closed: int
    webhooks: int
    complete: bool
    worst: list[WaitingWebhook]


class OverviewAnswer(TypedDict):
    """The gateway as its caller may see it. ``status`` is the health of the whole gateway;
    ``dead_letters``: null for a narrowed caller; ``queues``: null while Redis cannot be reached."""

    version: str
    time: Time
    status: Literal["ok", "degraded"]
    processes: int
    webhooks: WebhookStates
    streams: int
    alerts: AlertStates
    dead_letters: int | None
    queues: QueueOverview | None
