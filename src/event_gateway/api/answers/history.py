"""The answers with the history: series of values, one for each step."""

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Time

Counts = list[int | None]
Values = list[float | None]


class WebhookSeriesAnswer(TypedDict):
    """A webhook's series: one value for each step, null where it is not known. ``succeeded``,
    ``dead_letters`` and ``cancelled``: deliveries that ended; ``attempts``, of which
    ``failed_attempts`` failed. ``success_rate``: successful deliveries of all attempts, null
    without attempts. ``latency_p50`` and so on: seconds from the receipt of an event to its
    success, which that share of the successes did not exceed. ``waiting``: the most deliveries in
    the queue."""

    succeeded: Counts
    dead_letters: Counts
    cancelled: Counts
    attempts: Counts
    failed_attempts: Counts
    success_rate: Values
    latency_p50: Values
    latency_p95: Values
    latency_p99: Values
    waiting: Counts


class GatewaySeriesAnswer(WebhookSeriesAnswer):
    """The gateway's series. ``received``: events read from the log, ``duplicates``: those that
    were published again, ``rejected``: input that is no event. ``streamed``: events sent to live
    subscribers, of which ``subscribers`` is the highest number. ``consumer_lag``: the most events
    that were not routed yet, ``consumer_lag_seconds``: the longest wait of one. ``oldest_seconds``:
    the highest age of an event in a queue."""

    received: Counts
    duplicates: Counts
    rejected: Counts
    streamed: Counts
    subscribers: Counts
    consumer_lag: Counts
    consumer_lag_seconds: Values
    oldest_seconds: Values


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


class GatewayTotal(WebhookTotal):
    """The gateway over the whole span; the fields are those of its series."""

    received: int | None
    duplicates: int | None
    rejected: int | None
    streamed: int | None
    subscribers: int | None
    consumer_lag: int | None
    consumer_lag_seconds: float | None
    oldest_seconds: float | None


class _Steps(TypedDict):
    """Step number ``i`` begins ``i`` times ``step_seconds`` after ``since``. ``covered_seconds``:
    for how many seconds of each step the gateway counted; 0 is a gap, whose values are null."""

    since: Time
    until: Time
    step_seconds: int
    covered_seconds: list[int]


class GatewayHistory(_Steps):
    """The history of the gateway. ``webhooks``: how many webhooks of a narrowed caller the series
    add up; null where they are of the whole gateway. ``complete``: whether these are all that it
    may see."""

    webhooks: int | None
    complete: bool
    series: GatewaySeriesAnswer
    total: GatewayTotal


class WebhookHistory(_Steps):
    """The history of a webhook."""

    webhook_id: str
    series: WebhookSeriesAnswer
    total: WebhookTotal


class SparklineSeries(TypedDict):
    """What a small chart of a webhook shows; the fields are those of its history."""

    succeeded: Counts
    attempts: Counts
    failed_attempts: Counts


class WebhookSparkline(TypedDict):
    """A webhook's small chart, and what it is over the whole span."""

    webhook_id: str
    series: SparklineSeries
    total: WebhookTotal


class Sparklines(_Steps):
    """Small charts of webhooks, in the order in which the caller named them; without those that
    are not registered, or that it may not see."""

    items: list[WebhookSparkline]
