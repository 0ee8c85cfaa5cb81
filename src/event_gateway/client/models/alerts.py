"""The types of bodies and answers of the tag `alerts`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

__all__ = ["AlertAnswer", "CreateSilenceBody", "EpisodeAnswer", "SilenceAnswer"]


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


class CreateSilenceBody(TypedDict):
    """CreateSilenceBody."""

    name: NotRequired[str | None]
    webhook: NotRequired[str | None]
    duration: NotRequired[str | None]
    until: NotRequired[str | None]
    comment: NotRequired[str]


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


class SilenceAnswer(TypedDict):
    """A silence: alerts of this name, about this webhook, or both, are not announced."""

    id: str
    name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"] | None
    webhook: str | None
    until: str
    comment: str
    created_at: str
    created_by: str
