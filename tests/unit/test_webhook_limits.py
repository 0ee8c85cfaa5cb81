"""The limits that the configuration reference names are those that the core holds."""

import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from event_gateway.config.definitions import webhook_of
from event_gateway.config.webhook_model import (
    BatchModel,
    CircuitBreakerModel,
    RateLimitModel,
    RetryPolicyModel,
    WebhookModel,
)
from event_gateway.core.text.units import parse_duration, parse_size
from event_gateway.core.webhook.validation import webhook_problems

MODELS: dict[str, type[BaseModel]] = {
    "": WebhookModel, "batch": BatchModel, "circuit_breaker": CircuitBreakerModel,
    "rate_limit": RateLimitModel, "retry_policy": RetryPolicyModel,
}  # fmt: skip
LIMITS = [
    (section, name, *found.groups())
    for section, model in MODELS.items()
    for name, field in model.model_fields.items()
    if (found := re.search(r"; (?:(\w+) to|at most) (\w+)\.", field.description or ""))
]
RETENTION = 7 * 86400.0


def _beside(limit: str, steps: int) -> int | str:
    """A limit, or a value some steps beside it: a count, bytes, or a duration as text."""
    if limit.isdecimal():
        return int(limit) + steps
    if limit.endswith("iB"):
        return parse_size(limit) + steps
    return f"{parse_duration(limit) + steps * 0.05:.2f}s"


def _refused(section: str, name: str, value: int | str) -> bool:
    """Whether a webhook with this value is refused."""
    given: dict[str, Any] = {name: value}
    if section:
        given = {section: ({"events": 1} if section == "rate_limit" else {}) | given}
    try:
        model = WebhookModel.model_validate({"url": "https://x.example", "events": ["a"], **given})
    except ValidationError:
        return True
    webhook = webhook_of(model, "w", managed_by="file")
    return any(webhook_problems(webhook, frozenset({"standard"}), RETENTION, lambda _: None))


def test_most_numbers_of_a_webhook_have_limits() -> None:
    assert len(LIMITS) >= 14


@pytest.mark.parametrize(("section", "name", "least", "most"), LIMITS)
def test_a_webhook_is_refused_beyond_the_limits_of_the_reference(
    section: str, name: str, least: str | None, most: str
) -> None:
    assert not _refused(section, name, _beside(most, 0))
    assert _refused(section, name, _beside(most, 1))
    if least is not None:
        assert not _refused(section, name, _beside(least, 0))
        assert _refused(section, name, _beside(least, -1))
