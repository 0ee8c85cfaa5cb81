"""Alerts: those that fire, what fired lately, and silences."""

import asyncio

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.visit import PAGE, Visit

NAMES = ("high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open")
STATES = ("firing", "pending", "resolved")
DURATIONS = ("30m", "1h", "4h", "1d", "7d")


async def list_alerts(visit: Visit) -> Response:
    """A page of alerts, and the silences that have not ended."""
    filters = visit.filters("state", "name", "webhook")
    found, silences = await asyncio.gather(
        visit.gateway.list_alerts(limit=PAGE, cursor=visit.query("cursor"), **filters),
        visit.gateway.list_silences(limit=PAGE),
    )
    return await visit.render(
        "alerts/list.html",
        page=found,
        filters=filters,
        silences=silences,
        names=NAMES,
        states=STATES,
        durations=DURATIONS,
    )


async def list_episodes(visit: Visit) -> Response:
    """What fired within the last seven days."""
    filters = visit.filters("name", "webhook")
    found = await visit.gateway.list_episodes(limit=PAGE, cursor=visit.query("cursor"), **filters)
    return await visit.render("alerts/episodes.html", page=found, filters=filters, names=NAMES)


async def new_silence(visit: Visit) -> Response:
    """The form of a silence. The URL may have values: ``?webhook=crm``."""
    given = {name: visit.query(name) or "" for name in ("name", "webhook", "duration", "comment")}
    return await _form(visit, given, "")


async def silence(visit: Visit) -> Response:
    """Silences alerts for a while."""
    names = ("name", "webhook", "duration", "comment")
    given = {name: visit.field(name) for name in names}
    body = {name: value for name, value in given.items() if value}
    try:
        made = await visit.gateway.create_silence(body)  # type: ignore[arg-type]
    except GatewayError as error:
        if error.status not in (404, 422):
            raise
        return await _form(visit, given, faults(error))
    about = " of ".join(each for each in (made["name"], made["webhook"]) if each)
    return visit.redirect("/alerts", f"Alerts {about.replace('_', ' ')} are silent.")


async def end_silence(visit: Visit) -> Response:
    """Ends a silence. What fires still is announced now."""
    await visit.gateway.delete_silence(visit.path("silence_id"))
    return visit.redirect("/alerts", "The silence has ended.")


async def _form(visit: Visit, values: dict[str, str], problem: str) -> Response:
    return await visit.render(
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
