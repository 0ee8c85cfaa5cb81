"""Rejected input: what came in and is no valid event."""

import base64
import json

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.formats import pretty
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.visit import PAGE, Visit


async def list_rejected(visit: Visit) -> Response:
    """A page of rejected input, the newest first."""
    filters = visit.filters("search")
    found = await visit.gateway.list_rejected(limit=PAGE, cursor=visit.query("cursor"), **filters)
    return await visit.render("rejected/list.html", page=found, filters=filters)


async def show_rejected(visit: Visit) -> Response:
    """One rejected message, with its original bytes."""
    return await _page(visit, "")


async def retry(visit: Visit) -> Response:
    """Takes the input in again."""
    try:
        taken = await visit.gateway.retry_rejected(_seq(visit))
    except GatewayError as error:
        if error.status not in (409, 422):
            raise
        return await _page(visit, error.detail)
    return visit.redirect(
        "/rejected", f"The input is taken in again: it is event {taken['sequence']} of the log."
    )


async def _page(visit: Visit, problem: str) -> Response:
    found = await visit.gateway.show_rejected(_seq(visit))
    return await visit.render(
        "rejected/show.html",
        status=422 if problem else 200,
        found=found,
        problem=problem,
        text=_shown(found.get("data"), found.get("data_base64")),
    )


def _shown(text: str | None, encoded: str | None) -> str:
    """The original bytes as a text: JSON indented, what is no text as hexadecimal."""
    if text is None:
        return base64.b64decode(encoded or "").hex(" ", 2)
    try:
        return pretty(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _seq(visit: Visit) -> int:
    return int(visit.path("seq"))


PAGES = PageGroup(
    name="rejected",
    title="Rejected input",
    path="/rejected",
    section="Take in",
    scope="admin",
    operator=True,
    routes=[
        page("/rejected", list_rejected),
        page("/rejected/{seq:int}", show_rejected),
        action("/rejected/{seq:int}/retry", retry),
    ],
)
