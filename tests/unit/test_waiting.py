"""Why a delivery waits, from its record, its webhook and its place in the queue."""

from typing import Any

import pytest

from event_gateway.core.webhook.delivery import Attempt, Status
from event_gateway.core.webhook.webhook import Disabled, RateLimit, Webhook
from event_gateway.lookup.waiting import Turn, in_order, waits
from event_gateway.state.queue_places import QueuePlace
from event_gateway.state.records import Record

NOW = 1_000_000.0
FAILED = Attempt(1, "2026-05-04T03:02:01Z", 5, 500, "ServerError", "HTTP 500")


def webhook(**values: Any) -> Webhook:
    return Webhook("w", "https://a.example", ("a",), **values)


def record(status: Status = Status.PENDING, **values: Any) -> Record:
    fields: dict[str, Any] = {
        "webhook_id": "w", "event_id": "e", "source": "s", "status": status, "updated_at": NOW,
        "attempts": [], "last_error": None, "next_attempt_at": NOW - 1, "stream": "S", "seq": 7,
        "run": 1, "run_by": "", "dead_letter": 0,
    }  # fmt: skip
    return Record(**fields | values)


def place(**values: Any) -> QueuePlace:
    fields: dict[str, Any] = {
        "now": NOW, "ahead": 0, "due_at": NOW - 1, "depth": 1, "breaker": "closed",
        "open_until": None, "gate_until": None, "throttled_until": None, "scheduled": True,
    }  # fmt: skip
    return QueuePlace(**fields | values)


@pytest.mark.parametrize(("webhook", "record", "place", "reasons"), [
    (webhook(), record(), place(), ["due"]),
    (webhook(), record(Status.SUCCEEDED), place(), []),
    (webhook(enabled=False), record(), place(ahead=3, depth=9), ["paused", "queue"]),
    (webhook(disabled=Disabled("410", NOW)), record(), place(), ["disabled"]),
    (webhook(verify=True), record(), place(), ["unverified"]),
    (webhook(orphaned_at=NOW), record(), place(), ["orphaned"]),
    (webhook(renamed_to="v"), record(), place(), ["renamed"]),
    (webhook(deleting=True), record(), place(), ["deleting"]),
    (webhook(), record(), place(breaker="open", open_until=NOW + 9, gate_until=NOW + 9),
     ["circuit_breaker_open"]),
    (webhook(), record(), place(breaker="half_open"), ["circuit_breaker_half_open"]),
    (webhook(), record(), place(throttled_until=NOW + 9), ["throttled"]),
    (webhook(), record(), place(throttled_until=NOW - 9, gate_until=NOW - 9), ["due"]),
    (webhook(rate_limit=RateLimit(5)), record(), place(gate_until=NOW + 1), ["rate_limit"]),
    (webhook(), record(Status.RETRYING, attempts=[FAILED], next_attempt_at=NOW + 5), place(),
     ["retry_later"]),
    (webhook(), record(last_error="SecretMissing: token", next_attempt_at=NOW + 5), place(),
     ["secret_missing", "retry_later"]),
    (webhook(), record(next_attempt_at=NOW + 5), place(), ["concurrency"]),
    (webhook(), record(Status.IN_PROGRESS, next_attempt_at=NOW + 5), place(),
     ["attempt_in_progress"]),
    (webhook(), record(Status.FAILED), place(), ["dead_letter_not_stored"]),
])  # fmt: skip
def test_reasons(webhook: Webhook, record: Record, place: QueuePlace, reasons: list[str]) -> None:
    assert [wait.reason for wait in waits(webhook, record, place)] == reasons


def test_until_when() -> None:
    until = {
        wait.reason: wait.until
        for wait in waits(
            webhook(), record(Status.RETRYING, attempts=[FAILED], next_attempt_at=NOW + 5),
            place(breaker="open", open_until=NOW + 9),
        )
    }  # fmt: skip
    assert until == {
        "circuit_breaker_open": "1970-01-12T13:46:49.000Z",
        "retry_later": "1970-01-12T13:46:45.000Z",
    }


@pytest.mark.parametrize(("seq", "turn", "detail"), [
    (7, Turn(3, 5), "sequence 3; the event at sequence 5 is next"),
    (7, Turn(3, 7), "sequence 3; this event is next"),
    (7, Turn(3, None), "sequence 3"),
])  # fmt: skip
def test_in_order(seq: int, turn: Turn, detail: str) -> None:
    (wait,) = in_order(webhook(ordered=True), seq, turn)
    assert wait.reason == "order"
    assert wait.detail.endswith(detail)
    assert in_order(webhook(ordered=True), 3, turn) == []
