"""The history without servers: spans, quantiles, and what a process has counted."""

import pytest

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.observability.history_points import (
    BUCKETS,
    LATENCY_BOUNDS,
    GatewayPoint,
    quantile,
)
from event_gateway.core.observability.history_spans import RINGS, WEBHOOK_RING, span_of
from event_gateway.observability.history.counts import ProcessCounts
from event_gateway.observability.metrics import Metrics, UnlabelledMetrics, metrics

NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.mark.parametrize(
    ("ago", "step", "expected"),
    [
        (HOUR, None, (10, 360, 10)),  # step, number, of points of so many seconds
        (HOUR, 60.0, (60, 60, 60)),
        (24 * HOUR, None, (300, 288, 60)),
        (7 * 24 * HOUR, None, (1800, 336, 900)),
        (30 * 24 * HOUR, None, (7200, 360, 900)),
        (30 * 24 * HOUR, 86400.0, (86400, 31, 900)),
    ],
)
def test_a_span_is_answered_by_points_that_reach_back_to_its_begin(
    ago: float, step: float | None, expected: tuple[int, int, int]
) -> None:
    span = span_of(RINGS, NOW, NOW - ago, None, step)
    assert (span.step, span.count, span.ring.step) == expected
    assert span.begin <= NOW - ago < span.begin + span.step
    assert span.end - span.step < NOW <= span.end


def test_spans_are_bounded() -> None:
    for since, until, step in (
        (NOW, None, None), (NOW - HOUR, NOW - 2 * HOUR, None), (NOW - HOUR, None, 15.0),
        (NOW - HOUR, None, 0.0), (NOW - 2 * HOUR, None, 10.0), (NOW - 29 * 86400, None, 900.0),
    ):  # fmt: skip
        with pytest.raises(InvalidDefinition):
            span_of(RINGS, NOW, since, until, step)
    # What is not stored any more is left out.
    assert span_of((WEBHOOK_RING,), NOW, 0.0).begin == NOW - 86400


def test_a_quantile_lies_within_its_bucket() -> None:
    counts = [0] * BUCKETS
    assert quantile(0.5, counts) is None
    counts[3] = 10  # 25 to 50 ms
    assert quantile(0.5, counts) == pytest.approx(0.0375)
    counts[-1] = 90
    assert quantile(0.99, counts) == LATENCY_BOUNDS[-1]


def test_a_process_takes_what_it_counted_since_the_last_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "MAX_WEBHOOKS", 1)
    counted = Metrics()
    counts = ProcessCounts(counted)
    first, second, third = (counted.attempts_of(name) for name in ("first", "second", "third"))
    assert isinstance(second, UnlabelledMetrics)
    assert counts.take(0) == (GatewayPoint(0), {}, False)
    counted.received("http", 3)
    counted.streams.sent("s", 4)
    for lane in (first, second, second):
        lane.delivered(0.01, 0.2, NOW)
    third.attempt_failed("timeout", 1.0, NOW)
    for _ in range(2):  # nothing is counted twice
        point, webhooks, missing = counts.take(10)
        if not webhooks:
            break
        assert not missing
        assert (point.received, point.streamed, point.attempts) == (3, 4, 4)
        assert (point.succeeded, point.failed_attempts, sum(point.latency)) == (3, 1, 3)
        assert {name: (each.attempts, each.succeeded, each.failed_attempts, sum(each.latency))
                for name, each in webhooks.items()} == {
            "first": (1, 1, 0, 1), "second": (2, 2, 0, 2), "third": (1, 0, 1, 0),
        }  # fmt: skip
    assert (point, webhooks) == (GatewayPoint(10), {})


def test_the_webhooks_that_count_one_by_one_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_WEBHOOKS", 0)
    monkeypatch.setattr(metrics, "MAX_CHANGED", 2)
    counted = Metrics()
    counts = ProcessCounts(counted)
    lanes = [counted.attempts_of(f"w{number}") for number in range(3)]
    for missing in (True, True):
        for lane in lanes:
            lane.attempt_failed("timeout", 1.0, NOW)
        point, webhooks, skipped = counts.take(0)
        assert (point.attempts, sorted(webhooks), skipped) == (3, ["w0", "w1"], missing)
    lanes[2].attempt_failed("timeout", 1.0, NOW)
    assert sorted(counts.take(0)[1]) == ["w2"]
