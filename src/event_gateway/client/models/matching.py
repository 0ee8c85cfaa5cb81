"""The types of bodies and answers of the tag `matching`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent, FailedCondition

__all__ = [
    "EvaluateExpressionBody",
    "EventToMatch",
    "ExpressionError",
    "ExpressionValue",
    "MatchedWebhook",
    "Matches",
]


class EvaluateExpressionBody(TypedDict):
    """The expression, and the event for which it is evaluated."""

    dialect: NotRequired[Literal["cel", "cesql"]]
    expression: str
    event: CloudEvent


class EventToMatch(TypedDict):
    """The event to match."""

    event: CloudEvent


class ExpressionError(TypedDict):
    """An error of an evaluation, in the words of the language; of CESQL with its place in the
    expression, in characters from 0."""

    type: str
    message: str
    position: NotRequired[int]


class ExpressionValue(TypedDict):
    """The value of an expression for an event."""

    value: Any
    errors: list[ExpressionError]


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
