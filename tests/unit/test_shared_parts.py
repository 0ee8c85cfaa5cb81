"""Webhooks with equal parts share them."""

import msgspec
import pytest

from event_gateway.core.webhook import shared_parts
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.shared_parts import share_parts
from event_gateway.core.webhook.webhook import Webhook


def decoded(webhook_id: str, *, max_attempts: int = 5) -> Webhook:
    """A webhook as the registry decodes it."""
    webhook = Webhook(
        webhook_id, "https://example.com/", ("a.*",),
        retry_policy=RetryPolicy(max_attempts=max_attempts),
    )  # fmt: skip
    return msgspec.json.decode(msgspec.json.encode(webhook), type=Webhook)


def test_equal_parts_are_one_object_and_others_are_not() -> None:
    first, second, third = decoded("w1"), decoded("w2"), decoded("w3", max_attempts=7)
    as_they_were = [decoded("w1"), decoded("w2"), decoded("w3", max_attempts=7)]
    shared = [share_parts(webhook) for webhook in (first, second, third)]
    assert shared == as_they_were
    assert first.retry_policy is second.retry_policy is not third.retry_policy
    assert first.circuit_breaker is third.circuit_breaker
    assert first.batch is third.batch
    assert first.timeout is third.timeout
    assert first.headers is first.metadata is third.since_in


def test_no_more_parts_are_remembered_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_parts, "_shared", {})
    monkeypatch.setattr(shared_parts, "MAX_SHARED", 10)
    for attempts in range(1, 30):
        assert (
            share_parts(decoded("w", max_attempts=attempts)).retry_policy.max_attempts == attempts
        )
    assert len(shared_parts._shared) == 10
