"""Overview: the gateway at a glance."""

import asyncio
import contextlib
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.page_group import PageGroup, page
from event_gateway.console.visit import Visit

WEBHOOKS = "webhooks:read"


async def show(visit: Visit) -> Response:
    """What the gateway holds and what waits. A caller without webhooks gets a page of what it
    may."""
    if not visit.may(WEBHOOKS):
        return await visit.render("overview/other.html")
    overview, alerts, health = await asyncio.gather(
        visit.gateway.show_overview(),
        visit.gateway.list_alerts(state="firing", limit=10),
        _health(visit),
    )
    return await visit.render(
        "overview/show.html", overview=overview, alerts=alerts["items"], health=health
    )


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
    routes=[page("/", show)],
)
