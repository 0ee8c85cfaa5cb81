"""Rejected input: what came in and is no valid event."""

import base64
import json

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.formats import pretty
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest


async def list_rejected(request: PageRequest) -> Response:
    """A page of rejected input, the newest first."""
    filters = request.filters("search")
    found = await request.gateway.list_rejected(
        limit=PAGE, cursor=request.query("cursor"), **filters
    )
    return await request.render("rejected/list.html", page=found, filters=filters)


async def show_rejected(request: PageRequest) -> Response:
    """One rejected message, with its original bytes."""
    return await _page(request, "")


async def retry(request: PageRequest) -> Response:
    """Takes the input in again."""
    try:
        taken = await request.gateway.retry_rejected(_seq(request))
    except GatewayError as error:
        if error.status not in (409, 422):
            raise
        return await _page(request, error.detail)
    return request.redirect(
        "/rejected", f"The input is taken in again: it is event {taken['sequence']} of the log."
    )


async def _page(request: PageRequest, problem: str) -> Response:
    found = await request.gateway.show_rejected(_seq(request))
    return await request.render(
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


def _seq(request: PageRequest) -> int:
    return int(request.path("seq"))


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
