"""What proves a compliance stream: its chain, anchors, export, legal holds, and redaction."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.downloads import Download
from event_gateway.console.failures import faults
from event_gateway.console.formats import segment
from event_gateway.console.page_request import PAGE, PageRequest

MAX_EXPORTS = 20  # of a console at once, as each holds a connection to the gateway
MAX_OF_A_USER = 3

_exports: Counter[str] = Counter()  # under way, by the id of their user


async def show(request: PageRequest) -> Response:
    """How far the chain is, whether the stream can only grow, its anchors and its holds."""
    name = request.path("name")
    stream: Any
    stream, chain, anchors, holds = await asyncio.gather(
        request.gateway.show_stream(name),
        request.gateway.show_chain(name),
        request.gateway.list_anchors(name, limit=PAGE, cursor=request.query("cursor")),
        request.gateway.list_holds(name),
    )
    return await request.render(
        "streams/compliance.html",
        name=name,
        sealed_by=stream.get("sealed_by"),
        chain=chain,
        page=anchors,
        holds=holds["items"],
    )


async def export(request: PageRequest) -> Response:
    """The stream with its chain as a file, which is verified without the gateway."""
    name, user = request.path("name"), str(request.caller["id"])
    if _exports[user] >= MAX_OF_A_USER or _exports.total() >= MAX_EXPORTS:
        return await request.render(
            "error.html", 429, title="Too many exports", errors=[], retry=False,
            detail=f"{MAX_OF_A_USER} of yours or {MAX_EXPORTS} of this console are under way.",
            remedy="Try again when one has ended, or use event-gateway streams export.",
        )  # fmt: skip
    _exports[user] += 1

    def ended() -> None:
        _exports[user] -= 1
        if not _exports[user]:
            del _exports[user]

    chunks = request.gateway.chunks(f"/v1/streams/{segment(name)}/export")
    try:
        first = await anext(chunks)  # or why it is refused
    except BaseException:
        ended()
        raise

    async def content() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return Download(content(), f"{name}.ndjson", "application/x-ndjson", ended)


async def hold(request: PageRequest) -> Response:
    """Places a legal hold."""
    try:
        await request.gateway.place_hold(request.path("name"), {"reason": request.field("reason")})
    except GatewayError as error:
        return await _refused(request, error)
    return request.redirect(request.acted_on, "The stream is held: nothing leaves it.")


async def release(request: PageRequest) -> Response:
    """Releases a legal hold."""
    try:
        await request.gateway.release_hold(request.path("name"), request.field("hold"))
    except GatewayError as error:
        return await _refused(request, error)
    return request.redirect(request.acted_on, "The hold is released.")


async def redact(request: PageRequest) -> Response:
    """Erases the key of a person."""
    try:
        done = await request.gateway.redact(
            request.path("name"), {"subject": request.field("subject")}
        )
    except GatewayError as error:
        return await _refused(request, error)
    if not done["erased"]:
        text = "Nothing is redacted: no event of this stream names that person."
        return request.redirect(request.acted_on, text, "warning")
    return request.redirect(request.acted_on, "The person's data cannot be read any more.")


async def _refused(request: PageRequest, error: GatewayError) -> Response:
    if error.status not in (404, 409, 422):
        raise error
    return request.redirect(request.acted_on, faults(error), "error")
