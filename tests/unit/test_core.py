"""The pure rules: patterns, subjects, durations, backoff, decisions."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, covers, matches, overlaps
from event_gateway.core.streams.log_subjects import merge_captured, subject_for
from event_gateway.core.text.units import format_duration, parse_duration, parse_size
from event_gateway.core.webhook.delivery import Attempt, DeadLetter, Retry, decide, error_for_status
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.delivery.response_directives import aborts, retry_after


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True), ("a.b", "a.c", False), ("a.*", "a.b", True), ("a.*", "a", False),
        ("a.*", "a.b.c", False), ("a.>", "a.b.c", True), ("a.>", "a", False), (">", "a", True),
        ("*.b", "a.b", True), ("*", "a.b", False), ("a.*.c", "a.b.c", True),
    ],
)  # fmt: skip
def test_matching(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


@pytest.mark.parametrize(
    "pattern",
    ["", "a..b", ".a", "a.", "a.>.b", "a.b*", " a", "a.b ", "a.b, c", "a\tb", "a.b\n", "a\u0085"],
)
def test_bad_patterns(pattern: str) -> None:
    with pytest.raises(InvalidDefinition):
        check_pattern(pattern, "events")


def test_captured_subjects() -> None:
    assert covers("a.>", "a.b")
    assert not covers("a.b", "a.>")
    assert overlaps("a.*", "*.b")
    assert not overlaps("a.*", "b.>")
    assert merge_captured(("a.>",), ("a.b", "c.>")) == ("a.>", "c.>")
    assert subject_for("a.b", ("a.>",)) == "a.b"
    assert subject_for("x.y", ("a.>",)) == "events.x.y"
    assert subject_for("a.b c*", ("a.>",)) == "a.b%20c%2A"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("250ms", 0.25), ("5m", 300), ("1h30m", 5400), ("7d", 604800), ("2y", 63072000),
     ("PT1H", 3600), ("P1D", 86400)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "-1s", "P", "1 h"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_duration(text)


def test_sizes() -> None:
    assert [parse_size(item) for item in ("1MiB", "64KiB", "10MB", "7")] == [
        1048576, 65536, 10_000_000, 7,
    ]  # fmt: skip


def test_backoff() -> None:
    policy = RetryPolicy(max_attempts=6)
    assert [policy.delay(n) for n in range(1, 6)] == [1, 2, 4, 8, 16]
    assert RetryPolicy(max_attempts=99).delay(60) == 3600


def test_decisions() -> None:
    failed = Attempt(1, "2026-01-01T00:00:00Z", 1, 500, "ServerError", "HTTP 500")
    policy = RetryPolicy()
    assert decide(policy, [failed], 60.0) == Retry(1.0)
    assert decide(policy, [failed] * 2, 60.0) == Retry(2.0)
    assert decide(policy, [failed] * 3, 60.0) == DeadLetter("ServerError", "it was attempt 3 of 3")
    # No attempt is made after the deadline.
    late = decide(policy, [failed], 0.9)
    assert late == DeadLetter("Expired", "the next attempt would be after the deadline (max_age)")
    assert decide(policy, [failed] * 3, -1.0) == DeadLetter("ServerError", "it was attempt 3 of 3")
    gone = Attempt(1, "2026-01-01T00:00:00Z", 1, 410, "ClientError", "HTTP 410")
    assert decide(policy, [gone], 60.0) == DeadLetter(
        "ClientError", "the receiver answered 410 Gone"
    )
    assert decide(policy, [failed], 60.0, final="no") == DeadLetter("ServerError", "no")


@pytest.mark.parametrize(
    ("policy", "failures", "expected", "delay"),
    [
        ({"schedule": (5.0, 300.0, 1800.0)}, 1, None, 5.0),
        ({"schedule": (5.0, 300.0, 1800.0)}, 3, None, 1800.0),
        ({"schedule": (5.0, 300.0, 1800.0)}, 9, None, 1800.0),
        ({"jitter": 0.5}, 2, None, 2.5),
        ({}, 1, 0.0, 1.0),  # never earlier than planned
        ({}, 1, 30.0, 30.0),
        ({}, 1, 9999.0, 3600.0),  # not beyond max_delay
        ({"max_delay": 1.0}, 1, 9999.0, 2.0),  # or twice the planned delay
        ({"schedule": (7200.0,)}, 1, 1e9, 14400.0),
    ],
)
def test_delays(
    policy: dict[str, Any], failures: int, expected: float | None, delay: float
) -> None:
    failed = Attempt(1, "", 5, 503, "ServerError", "HTTP 503")
    result = RetryPolicy(max_attempts=50, **policy)
    assert decide(result, [failed] * failures, 1e9, spread=0.5, retry_after=expected) == Retry(
        delay
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("9" * 11, math.inf), ("-1", None), ("1.5", None),
        ("", None), ("soon", None), ("\u0663", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0), ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
        ("Sun Nov  6 08:49:37 1994", 37.0), ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("Sun, 06 Nov 99999999 08:48:00 GMT", None), ("Sun, 99 Nov 1994 08:48:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(value: str, seconds: float | None) -> None:
    now = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC).timestamp()
    assert retry_after({"retry-after": value}, now) == seconds
    # A receiver whose clock is wrong by an hour means the same time.
    if value.endswith("GMT") and seconds:
        said_at = {"date": "Sun, 06 Nov 1994 08:49:00 GMT"}
        assert retry_after({"retry-after": value} | said_at, now + 3600) == seconds
        assert retry_after({"retry-after": value, "date": "soon"}, now) == seconds


@pytest.mark.parametrize(
    ("value", "told"),
    [("abort-message", True), ("Abort-Message", True), ("disable, abort-message", True),
     ("abort", False), ("", False)],
)  # fmt: skip
def test_abort_message(value: str, told: bool) -> None:
    assert aborts({"webhook-delivery": value}) is told
    assert [error_for_status(item) for item in (200, 299, 301, 404, 503)] == [
        None, None, "Redirect", "ClientError", "ServerError",
    ]  # fmt: skip
