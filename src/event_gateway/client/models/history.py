"""The types of bodies and answers of the tag `history`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = [
    "GatewayHistory",
    "GatewaySeriesAnswer",
    "GatewayTotal",
    "SparklineSeries",
    "Sparklines",
    "WebhookHistory",
    "WebhookSeriesAnswer",
    "WebhookSparkline",
    "WebhookTotal",
]


class GatewayHistory(TypedDict):
    """The history of the gateway. `webhooks`: how many webhooks of a narrowed caller the
    series add up; null where they are of the whole gateway. `complete`: whether these are
    all that it may see."""

    since: str
    until: str
    step_seconds: int
    covered_seconds: list[int]
    webhooks: int | None
    complete: bool
    series: GatewaySeriesAnswer
    total: GatewayTotal


class GatewaySeriesAnswer(TypedDict):
    """The gateway's series. `received`: events read from the log, `duplicates`: those that
    were published again, `rejected`: input that is no event. `streamed`: events sent to
    live subscribers, of which `subscribers` is the highest number. `consumer_lag`: the most
    events that were not routed yet, `consumer_lag_seconds`: the longest wait of one.
    `oldest_seconds`: the highest age of an event in a queue."""

    succeeded: list[int | None]
    dead_letters: list[int | None]
    cancelled: list[int | None]
    attempts: list[int | None]
    failed_attempts: list[int | None]
    success_rate: list[float | None]
    latency_p50: list[float | None]
    latency_p95: list[float | None]
    latency_p99: list[float | None]
    waiting: list[int | None]
    received: list[int | None]
    duplicates: list[int | None]
    rejected: list[int | None]
    streamed: list[int | None]
    subscribers: list[int | None]
    consumer_lag: list[int | None]
    consumer_lag_seconds: list[float | None]
    oldest_seconds: list[float | None]


class GatewayTotal(TypedDict):
    """The gateway over the whole span; the fields are those of its series."""

    succeeded: int
    dead_letters: int
    cancelled: int
    attempts: int
    failed_attempts: int
    success_rate: float | None
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    waiting: int | None
    received: int | None
    duplicates: int | None
    rejected: int | None
    streamed: int | None
    subscribers: int | None
    consumer_lag: int | None
    consumer_lag_seconds: float | None
    oldest_seconds: float | None


class SparklineSeries(TypedDict):
    """What a small chart of a webhook shows; the fields are those of its history."""

    succeeded: list[int | None]
    attempts: list[int | None]
    failed_attempts: list[int | None]


class Sparklines(TypedDict):
    """Small charts of webhooks, in the order in which the caller named them; without those
    that are not registered, or that it may not see."""

    since: str
    until: str
    step_seconds: int
    covered_seconds: list[int]
    items: list[WebhookSparkline]


class WebhookHistory(TypedDict):
    """The history of a webhook."""

    since: str
    until: str
    step_seconds: int
    covered_seconds: list[int]
    webhook_id: str
    series: WebhookSeriesAnswer
    total: WebhookTotal


class WebhookSeriesAnswer(TypedDict):
    """A webhook's series: one value for each step, null where it is not known. `succeeded`,
    `dead_letters` and `cancelled`: deliveries that ended; `attempts`, of which
    `failed_attempts` failed. `success_rate`: successful deliveries of all attempts, null
    without attempts. `latency_p50` and so on: seconds from the receipt of an event to its
    success, which that share of the successes did not exceed. `waiting`: the most
    deliveries in the queue."""

    succeeded: list[int | None]
    dead_letters: list[int | None]
    cancelled: list[int | None]
    attempts: list[int | None]
    failed_attempts: list[int | None]
    success_rate: list[float | None]
    latency_p50: list[float | None]
    latency_p95: list[float | None]
    latency_p99: list[float | None]
    waiting: list[int | None]


class WebhookSparkline(TypedDict):
    """A webhook's small chart, and what it is over the whole span."""

    webhook_id: str
    series: SparklineSeries
    total: WebhookTotal


class WebhookTotal(TypedDict):
    """A webhook over the whole span; the fields are those of its series."""

    succeeded: int
    dead_letters: int
    cancelled: int
    attempts: int
    failed_attempts: int
    success_rate: float | None
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    waiting: int | None
