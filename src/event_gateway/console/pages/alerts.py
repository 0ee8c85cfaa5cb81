"""Alerts: those that fire, what fired lately, and silences."""

import asyncio

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest

NAMES = ("high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open")
STATES = ("firing", "pending", "resolved")
DURATIONS = ("30m", "1h", "4h", "1d", "7d")


async def list_alerts(request: PageRequest) -> Response:
    """A page of alerts, and the silences that have not ended."""
    filters = request.filters("state", "name", "webhook")
    found, silences = await asyncio.gather(
        request.gateway.list_alerts(limit=PAGE, cursor=request.query("cursor"), **filters),
        request.gateway.list_silences(limit=PAGE),
    )
    return await request.render(
        "alerts/list.html",
        page=found,
        filters=filters,
        silences=silences,
        names=NAMES,
        states=STATES,
        durations=DURATIONS,
    )


async def list_episodes(request: PageRequest) -> Response:
    """What fired within the last seven days."""
    filters = request.filters("name", "webhook")
    found = await request.gateway.list_episodes(
        limit=PAGE, cursor=request.query("cursor"), **filters
    )
    return await request.render("alerts/episodes.html", page=found, filters=filters, names=NAMES)


async def new_silence(request: PageRequest) -> Response:
    """The form of a silence. The URL may have values: ``?webhook=crm``."""
    given = {name: request.query(name) or "" for name in ("name", "webhook", "duration", "comment")}
    return await _form(request, given, "")


async def silence(request: PageRequest) -> Response:
    """Silences alerts for a while."""
    names = ("name", "webhook", "duration", "comment")
    given = {name: request.field(name) for name in names}
    body = {name: value for name, value in given.items() if value}
    try:
        made = await request.gateway.create_silence(body)  # type: ignore[arg-type]
    except GatewayError as error:
        if error.status not in (404, 422):
            raise
        return await _form(request, given, faults(error))
    about = " of ".join(each for each in (made["name"], made["webhook"]) if each)
    return request.redirect("/alerts", f"Alerts {about.replace('_', ' ')} are silent.")


async def end_silence(request: PageRequest) -> Response:
    """Ends a silence. What fires still is announced now."""
    await request.gateway.delete_silence(request.path("silence_id"))
    return request.redirect("/alerts", "The silence has ended.")


async def _form(request: PageRequest, values: dict[str, str], problem: str) -> Response:
    return await request.render(
        "alerts/silence.html",
        status=422 if problem else 200,
        values=values | {"duration": values["duration"] or DURATIONS[1]},
        problem=problem,
        names=[("", "all alerts"), *((name, name.replace("_", " ")) for name in NAMES)],
        durations=DURATIONS,
    )


PAGES = PageGroup(
    name="alerts",
    title="Alerts",
    path="/alerts",
    section="Watch",
    scope="webhooks:read",
    routes=[
        page("/alerts", list_alerts),
        page("/alerts/history", list_episodes),
        page("/alerts/silence", new_silence),
        action("/alerts/silence", silence),
        action("/alerts/silences/{silence_id}/end", end_silence),
    ],
)
