"""Overview: the gateway at a glance."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.history import RANGES, WEBHOOK_RANGES, as_chart, asked
from event_gateway.console.page_group import LIMITS, PageGroup, page
from event_gateway.console.visit import Visit

WEBHOOKS = "webhooks:read"
# By the name in the URL of its figures: title, unit, and the series by label.
CHARTS = {
    "throughput": (
        "Throughput", "per_second",
        {"events in": "received", "deliveries out": "succeeded",
         "failed attempts": "failed_attempts"},
    ),
    "success": ("Success rate", "percent", {"deliveries per attempt": "success_rate"}),
    "latency": (
        "Delivery latency", "seconds",
        {"p50": "latency_p50", "p95": "latency_p95", "p99": "latency_p99"},
    ),
    "waiting": (
        "Waiting", "number", {"deliveries": "waiting", "events not routed": "consumer_lag"},
    ),
    "oldest": (
        "Oldest waiting", "seconds",
        {"delivery": "oldest_seconds", "event not routed": "consumer_lag_seconds"},
    ),
    "endings": (
        "Ended without success", "per_second",
        {"dead letters": "dead_letters", "cancelled": "cancelled"},
    ),
}  # fmt: skip


async def show(visit: Visit) -> Response:
    """The state of the gateway, and its waiting deliveries. A caller without webhooks gets a page
    of what it may."""
    if not visit.may(WEBHOOKS):
        return await visit.render("overview/other.html")
    overview, alerts, health = await asyncio.gather(
        visit.gateway.show_overview(),
        visit.gateway.list_alerts(state="firing", limit=10),
        _health(visit),
    )
    return await visit.render(
        "overview/show.html", overview=overview, alerts=alerts["items"], health=health,
        charts=CHARTS, ranges=list(_ranges(visit)),
        range=visit.query("range") or next(iter(_ranges(visit))),
    )  # fmt: skip


async def chart(visit: Visit) -> Response:
    """The figures of a chart."""
    _, unit, series = CHARTS.get(visit.path("name"), CHARTS["throughput"])
    history = await visit.gateway.show_history(**asked(_ranges(visit), visit.query("range")))
    return visit.json(as_chart(history, series, rate=unit == "per_second"))


def _ranges(visit: Visit) -> Mapping[str, tuple[int, str]]:
    """The ranges of the charts: a narrowed caller gets the sum of its webhooks' histories."""
    narrowed = any(visit.caller[limit] is not None for limit in LIMITS)
    return WEBHOOK_RANGES if narrowed else RANGES


async def _health(visit: Visit) -> Any:
    """The reasons of the health, for those who may read it."""
    if not visit.may("metrics:read"):
        return None
    with contextlib.suppress(GatewayError):  # the scope is narrowed
        return await visit.gateway.show_health()
    return None


PAGES = PageGroup(
    name="overview",
    title="Overview",
    path="/",
    section="",
    scope="",
    routes=[page("/", show), page("/charts/{name}", chart)],
)
