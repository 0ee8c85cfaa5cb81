"""Answers about alerts and silences."""

from typing import Literal

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Time

Name = Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
Severity = Literal["warning", "critical"]


class SilenceAnswer(TypedDict):
    """A silence: alerts of this name, about this webhook, or both, are not announced."""

    id: str
    name: Name | None
    webhook: str | None
    until: Time
    comment: str
    created_at: Time
    created_by: str


class AlertAnswer(TypedDict):
    """An alert. ``webhook``: null for the alert over all webhooks. ``since``: when its condition
    began to hold. ``silenced``: the silence that applies now. ``announced``: the event of its
    state was published; ``not_announced_because``: why none is."""

    name: Name
    webhook: str | None
    state: Literal["pending", "firing", "resolved"]
    severity: Severity
    since: Time
    fired_at: Time | None
    resolved_at: Time | None
    detail: str
    value: float
    threshold: float
    resolved_because: str | None
    silenced: SilenceAnswer | None
    announced: bool
    not_announced_because: str | None
    runbook: str


class EpisodeAnswer(TypedDict):
    """One time that an alert fired; ``resolved_at``: null while it does."""

    name: Name
    webhook: str | None
    severity: Severity
    since: Time
    fired_at: Time
    resolved_at: Time | None
    detail: str
    value: float
    resolved_because: str | None
