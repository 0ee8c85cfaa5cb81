"""Webhooks: the list, and a page for each."""

import asyncio
from typing import Any

from starlette.responses import Response

from event_gateway.client import AsyncGatewayClient, GatewayError
from event_gateway.console.page_group import PageGroup, action, page
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
    """One webhook: its definition, its figures and what may be done with it."""
    name = visit.path("webhook_id")
    webhook, stats = await asyncio.gather(
        visit.gateway.show_webhook(name), visit.gateway.show_webhook_stats(name)
    )
    return await visit.render("webhooks/show.html", webhook=webhook, stats=stats)


async def pause(visit: Visit) -> Response:
    """Pauses a webhook: its deliveries wait."""
    name = visit.path("webhook_id")
    await visit.gateway.change_webhook(name, {"enabled": False})
    return visit.redirect(_at(visit), f"{name} is paused. Its deliveries wait.")


async def enable(visit: Visit) -> Response:
    """Enables a webhook again."""
    name = visit.path("webhook_id")
    discard = bool(visit.field("discard"))
    await visit.gateway.enable_webhook(name, discard=discard)
    what = " What waited was cancelled." if discard else ""
    return visit.redirect(_at(visit), f"{name} is enabled.{what}")


async def delete(visit: Visit) -> Response:
    """Deletes a webhook."""
    name = visit.path("webhook_id")
    await visit.gateway.delete_webhook(name)
    return visit.redirect("/webhooks", f"{name} is deleted.")


def _at(visit: Visit) -> str:
    """The page of the webhook of an action."""
    return visit.request.url.path.rpartition("/")[0]


async def _stats(gateway: AsyncGatewayClient, webhook_id: str) -> Any:
    """The figures of a webhook; None where there are none: it was deleted, or Redis is away."""
    try:
        return await gateway.show_webhook_stats(webhook_id)
    except GatewayError:
        return None


PAGES = PageGroup(
    name="webhooks",
    title="Webhooks",
    path="/webhooks",
    section="Deliver",
    scope="webhooks:read",
    routes=[
        page("/webhooks", list_webhooks),
        page("/webhooks/{webhook_id}", show_webhook),
        action("/webhooks/{webhook_id}/pause", pause),
        action("/webhooks/{webhook_id}/enable", enable),
        action("/webhooks/{webhook_id}/delete", delete),
    ],
)
