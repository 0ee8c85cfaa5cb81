"""The live tail of a stream: an event stream from the gateway through the console to the page."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.page_request import PageRequest

MAX_TAILS = 50  # of a console, as each holds a connection to the gateway
MAX_OF_A_USER = 10
STARTS = ("new", "first")
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Tails:
    """The tails that are open, by the id of their user. ``most``: of all users; ``each``: of one,
    so that no user takes all."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._open: Counter[str] = Counter()

    async def follow(
        self, request: PageRequest, name: str, start: str | int, expression: str | None
    ) -> AsyncIterator[str]:
        """The blocks of an event stream. One of the type ``refused`` is the last: the page does
        not try again after it."""
        user = str(request.caller["id"])
        if refusal := self._refusal(user):
            yield _block("refused", {"detail": refusal})
            return
        self._open[user] += 1
        try:
            yield "retry: 2000\n\n"
            async for seq, event in request.gateway.follow_stream(
                name, from_=start, expression=expression
            ):
                yield f"id: {seq}\ndata: {json.dumps({'seq': seq, 'event': event})}\n\n"
        except GatewayError as error:
            if error.status not in (429, 503):
                yield _block("refused", {"detail": error.detail})
        except GatewayUnreachable:
            pass  # the page connects again, from where it was
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

    def _refusal(self, user: str) -> str | None:
        """Why a user cannot open one more; None if that is possible."""
        if self._open[user] >= self._each:
            return f"you have {self._each} tails open. Close one, then load this page again."
        if self._open.total() >= self._most:
            return f"{self._most} tails are open in this console. Try again later."
        return None


_tails = Tails(MAX_TAILS, MAX_OF_A_USER)


async def show(request: PageRequest) -> Response:
    """The page of the tail. Its filter and where it starts stand in the URL."""
    name = request.path("name")
    await request.gateway.show_stream(name)
    start = request.query("from") or STARTS[0]
    return await request.render(
        "streams/tail.html",
        name=name,
        filters={"expression": request.query("expression"), "from": start},
        starts=STARTS,
    )


async def events(request: PageRequest) -> Response:
    """The events, from where the page was if it connects again."""
    name, last = request.path("name"), request.http_request.headers.get("last-event-id", "")
    start: str | int = request.query("from") or STARTS[0]
    if last.isdigit() and len(last) < 20:
        start = int(last) + 1
    elif start == STARTS[0]:
        # By its sequence: what comes in before the gateway has the subscription is not missed.
        stream: Any = await request.gateway.show_stream(name)
        start = stream["state"]["last_seq"] + 1 if "state" in stream else start
    blocks = _tails.follow(request, name, start, request.query("expression"))
    return StreamingResponse(blocks, media_type="text/event-stream", headers=_HEADERS)


def _block(kind: str, data: object) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
