"""The list of webhooks, and the page of one."""

import asyncio
from typing import Any

from starlette.responses import Response

from event_gateway.client import AsyncGatewayClient, GatewayError
from event_gateway.console.history import WEBHOOK_RANGES, as_chart, asked, small_chart
from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.pages.webhooks.texts import as_curl, as_yaml, own_members

CHARTS = {
    "attempts": ("Attempts", "per_second", {"attempts": "attempts", "failed": "failed_attempts"}),
    "latency": ("Delivery latency", "seconds", {"p50": "latency_p50", "p95": "latency_p95",
                                                "p99": "latency_p99"}),
    "success": ("Success rate", "percent", {"deliveries per attempt": "success_rate"}),
    "waiting": ("Waiting", "number", {"deliveries": "waiting"}),
}  # fmt: skip
STATES = ("active", "paused", "disabled", "unverified", "orphaned", "renamed")


async def list_webhooks(request: PageRequest) -> Response:
    """A page of webhooks, each with the figures of its deliveries."""
    filters = request.filters("search", "state", "event", "owner", "managed_by")
    found = await request.gateway.list_webhooks(
        limit=PAGE, cursor=request.query("cursor"), queues=True, **filters
    )
    names = [each["id"] for each in found["items"]]
    return await request.render(
        "webhooks/list.html",
        page=found,
        days=await _last_day(request.gateway, names),
        filters=filters,
        states=STATES,
    )


async def show_webhook(request: PageRequest) -> Response:
    """One webhook: its figures, its definition and what may be done with it."""
    name = request.path("webhook_id")
    webhook, stats, plain = await asyncio.gather(
        request.gateway.show_webhook(name),
        request.gateway.show_webhook_stats(name),
        defaults(request),
    )
    definition = own_members(webhook, plain)
    return await request.render(
        "webhooks/show.html",
        webhook=webhook,
        stats=stats,
        definition=definition,
        yaml=as_yaml(definition),
        curl=as_curl(definition),
        charts=CHARTS,
        ranges=list(WEBHOOK_RANGES),
        range=request.query("range") or "24h",
        signed=any(each["auth_type"] == "hmac_signature" for each in webhook["security"]),
    )


async def chart(request: PageRequest) -> Response:
    """The figures of a chart of a webhook."""
    _, unit, series = CHARTS.get(request.path("name"), CHARTS["attempts"])
    history = await request.gateway.show_webhook_history(
        request.path("webhook_id"), **asked(WEBHOOK_RANGES, request.query("range"))
    )
    return request.json(as_chart(history, series, rate=unit == "per_second"))


async def _last_day(gateway: AsyncGatewayClient, names: list[str]) -> dict[str, Any]:
    """A small chart and the totals of the last day for each of these webhooks, by id; none while
    Redis is away."""
    if not names:
        return {}
    try:
        found = await gateway.list_webhook_histories(id=names)
    except GatewayError:
        return {}
    return {
        each["webhook_id"]: {"small": small_chart(each["series"]), "total": each["total"]}
        for each in found["items"]
    }


async def defaults(request: PageRequest) -> Any:
    """A webhook of which nothing was said; None where the caller may not check one."""
    if not request.may("webhooks:manage"):
        return None
    plain = {"id": "defaults", "url": "https://example.com/", "events": [">"]}
    if request.caller["types"] is not None:
        plain["events"] = request.caller["types"][:1]
    try:
        return (await request.gateway.check_webhook({"webhook": plain}))["webhook"]
    except GatewayError:
        return None
