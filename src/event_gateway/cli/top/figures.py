"""The figures that the live view shows, of two readings of the metrics."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from event_gateway.cli.top.scrape import Scrape, growth, quantile

BREAKERS = {0: "closed", 1: "half-open", 2: "open"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFigures:
    """A webhook. Rates are per second; None: not known, or no attempts. ``lag``: for how long the
    delivery that is due longest has been due, ``oldest``: the age of the oldest waiting event."""

    id: str
    attempts: float
    success: float | None
    latency_95: float | None
    waiting: int | None
    lag: float | None
    oldest: float | None
    state: str
    breaker: str
    throttled: float
    dead_letters: int

    @property
    def trouble(self) -> tuple[bool, float, float, float, str]:
        """Sorts the webhooks that need attention first, then the busiest."""
        failing = self.success is not None and self.success < 0.95
        return (
            not (failing or self.breaker not in ("", "closed")),
            -(self.lag or 0.0), -(self.oldest or 0.0), -self.attempts, self.id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """A named stream; the empty name: subscriptions to subjects."""

    name: str
    subscribers: int
    sent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFigures:
    """The whole gateway. Rates are per second, times in seconds; None: not known."""

    version: str
    processes: int | None
    seconds: float
    events_in: float
    origins: dict[str, float]
    delivered: float
    attempts: float
    success: float | None
    latency: dict[str, float | None]
    errors: dict[str, float]
    lag_events: int | None
    lag_seconds: float | None
    subscribers: int
    servers: dict[str, bool]
    webhooks: list[WebhookFigures]
    streams: list[StreamFigures]
    alerts: list[dict[str, str]]

    @property
    def measured(self) -> bool:
        """Whether there were two readings, without which there are no rates."""
        return self.seconds > 0

    def json(self) -> dict[str, Any]:
        """The figures for another program."""
        return asdict(self)


def figures(before: Scrape, after: Scrape) -> GatewayFigures:
    """The figures of the time between two readings."""
    grown = growth(before, after)
    seconds = grown.at or math.inf  # without a second reading, all rates are 0
    attempts = grown.total("attempts_total")
    errors = {
        error: count / seconds
        for error, count in grown.values("attempts_total", "error_type").items()
        if error and count
    }
    buckets = grown.values("delivery_latency_seconds_bucket", "le")
    subscribers = after.values("stream_subscribers", "stream")
    sent = grown.values("stream_messages_sent_total", "stream")
    return GatewayFigures(
        version=next(iter(after.values("build_info", "version")), ""),
        processes=_whole(after, "processes"),
        seconds=grown.at,
        events_in=grown.total("events_received_total") / seconds,
        origins={
            origin: count / seconds
            for origin, count in grown.values("events_received_total", "origin").items()
        },
        delivered=grown.total("deliveries_total", outcome="succeeded") / seconds,
        attempts=attempts / seconds,
        success=grown.total("attempts_total", error_type="") / attempts if attempts else None,
        latency={name: quantile(share, buckets)
                 for name, share in (("50%", 0.5), ("95%", 0.95), ("99%", 0.99))},
        errors=errors,
        lag_events=_whole(after, "consumer_lag"),
        lag_seconds=after.total("consumer_lag_seconds") if after.has("consumer_lag_seconds")
        else None,
        subscribers=int(sum(subscribers.values())),
        servers={server: bool(value)
                 for server, value in after.values("server_connected", "server").items()},
        webhooks=sorted(_webhooks(grown, after, seconds), key=lambda webhook: webhook.trouble),
        streams=[
            StreamFigures(name=name, subscribers=int(count), sent=sent.get(name, 0.0) / seconds)
            for name, count in sorted(subscribers.items())
        ],
        alerts=_alerts(after),
    )  # fmt: skip


def _webhooks(grown: Scrape, after: Scrape, seconds: float) -> list[WebhookFigures]:
    attempts = grown.values("attempts_total", "webhook")
    succeeded = grown.values("attempts_total", "webhook", error_type="")
    dead = after.values("deliveries_total", "webhook", outcome="dead_letter")
    waiting, lag, oldest, breakers, throttled = (
        after.values(name, "webhook")
        for name in (
            "queue_depth", "delivery_lag_seconds", "oldest_pending_seconds", "breaker_state",
            "throttled_seconds",
        )
    )  # fmt: skip
    buckets: dict[str, dict[str, float]] = {}
    for labels, count in grown.series.get("delivery_latency_seconds_bucket", {}).items():
        named = dict(labels)
        buckets.setdefault(named["webhook"], {})[named["le"]] = count
    states = {
        named["webhook"]: named["state"]
        for labels, value in after.series.get("webhook_state", {}).items()
        if value and (named := dict(labels))
    }
    return [
        WebhookFigures(
            id=webhook,
            attempts=attempts.get(webhook, 0.0) / seconds,
            success=succeeded.get(webhook, 0.0) / attempts[webhook]
            if attempts.get(webhook) else None,
            latency_95=quantile(0.95, buckets.get(webhook, {})),
            waiting=int(waiting[webhook]) if webhook in waiting else None,
            lag=lag.get(webhook),
            oldest=oldest.get(webhook),
            state=states.get(webhook, ""),
            breaker=BREAKERS.get(int(breakers[webhook]), "") if webhook in breakers else "",
            throttled=throttled.get(webhook, 0.0),
            dead_letters=int(dead.get(webhook, 0.0)),
        )
        for webhook in {*attempts, *waiting, *breakers}
    ]  # fmt: skip


def _alerts(after: Scrape) -> list[dict[str, str]]:
    """The firing alerts; webhook is empty for one over all."""
    firing = [
        {"name": named.get("name", ""), "webhook": named.get("webhook", "")}
        for labels, value in after.series.get("alert_firing", {}).items()
        if value and (named := dict(labels))
    ]
    return sorted(firing, key=lambda alert: (alert["name"], alert["webhook"]))


def _whole(scrape: Scrape, name: str) -> int | None:
    return int(scrape.total(name)) if scrape.has(name) else None
