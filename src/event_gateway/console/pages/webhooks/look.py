"""The list of webhooks, and the page of one."""

import asyncio
from typing import Any

from starlette.responses import Response

from event_gateway.client import AsyncGatewayClient, GatewayError
from event_gateway.console.pages.webhooks.texts import as_curl, as_yaml, own_members
from event_gateway.console.visit import PAGE, Visit

STATES = ("active", "paused", "disabled", "unverified", "orphaned", "renamed")


async def list_webhooks(visit: Visit) -> Response:
    """A page of webhooks, each with the figures of its deliveries."""
    filters = visit.filters("search", "state", "event", "owner", "managed_by")
    found = await visit.gateway.list_webhooks(limit=PAGE, cursor=visit.query("cursor"), **filters)
    figures = await asyncio.gather(*(_stats(visit.gateway, each["id"]) for each in found["items"]))
    return await visit.render(
        "webhooks/list.html",
        page=found,
        rows=list(zip(found["items"], figures, strict=True)),
        filters=filters,
        states=STATES,
    )


async def show_webhook(visit: Visit) -> Response:
    """One webhook: its figures, its definition and what may be done with it."""
    name = visit.path("webhook_id")
    webhook, stats, plain = await asyncio.gather(
        visit.gateway.show_webhook(name),
        visit.gateway.show_webhook_stats(name),
        defaults(visit),
    )
    definition = own_members(webhook, plain)
    return await visit.render(
        "webhooks/show.html",
        webhook=webhook,
        stats=stats,
        definition=definition,
        yaml=as_yaml(definition),
        curl=as_curl(definition),
        signed=any(each["auth_type"] == "hmac_signature" for each in webhook["security"]),
    )


async def _stats(gateway: AsyncGatewayClient, webhook_id: str) -> Any:
    """The figures of a webhook; None where there are none: it was deleted, or Redis is away."""
    try:
        return await gateway.show_webhook_stats(webhook_id)
    except GatewayError:
        return None


async def defaults(visit: Visit) -> Any:
    """A webhook of which nothing was said; None where the caller may not check one."""
    if not visit.may("webhooks:manage"):
        return None
    plain = {"id": "defaults", "url": "https://example.com/", "events": [">"]}
    if visit.caller["types"] is not None:
        plain["events"] = visit.caller["types"][:1]
    try:
        return (await visit.gateway.check_webhook({"webhook": plain}))["webhook"]
    except GatewayError:
        return None
