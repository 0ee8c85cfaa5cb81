"""Overview: the gateway at a glance."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.history import RANGES, WEBHOOK_RANGES, as_chart, asked
from event_gateway.console.page_group import LIMITS, PageGroup, page
from event_gateway.console.page_request import PageRequest

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


async def show(request: PageRequest) -> Response:
    """The state of the gateway, and its waiting deliveries. A caller without webhooks gets a page
    of what it may."""
    if not request.may(WEBHOOKS):
        return await request.render("overview/other.html")
    overview, alerts, health = await asyncio.gather(
        request.gateway.show_overview(),
        request.gateway.list_alerts(state="firing", limit=10),
        _health(request),
    )
    return await request.render(
        "overview/show.html", overview=overview, alerts=alerts["items"], health=health,
        charts=CHARTS, ranges=list(_ranges(request)),
        range=request.query("range") or next(iter(_ranges(request))),
    )  # fmt: skip


async def chart(request: PageRequest) -> Response:
    """The figures of a chart."""
    _, unit, series = CHARTS.get(request.path("name"), CHARTS["throughput"])
    history = await request.gateway.show_history(**asked(_ranges(request), request.query("range")))
    return request.json(as_chart(history, series, rate=unit == "per_second"))


def _ranges(request: PageRequest) -> Mapping[str, tuple[int, str]]:
    """The ranges of the charts: a narrowed caller gets the sum of its webhooks' histories."""
    narrowed = any(request.caller[limit] is not None for limit in LIMITS)
    return WEBHOOK_RANGES if narrowed else RANGES


async def _health(request: PageRequest) -> Any:
    """The reasons of the health, for those who may read it."""
    if not request.may("metrics:read"):
        return None
    with contextlib.suppress(GatewayError):  # the scope is narrowed
        return await request.gateway.show_health()
    return None


PAGES = PageGroup(
    name="overview",
    title="Overview",
    path="/",
    section="",
    scope="",
    routes=[page("/", show), page("/charts/{name}", chart)],
)
