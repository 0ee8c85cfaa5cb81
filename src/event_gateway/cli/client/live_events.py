"""Live events for the commands that show or pass them on, across losses of the connection."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import typer
import websockets

from event_gateway.cli.client.gateway_client import fail, gateway_of

AGAIN = 1.0  # seconds until a lost connection is made again
FINAL = frozenset((1008, 4401, 4403))  # close codes after which it is of no use to come again
_CONDITION = re.compile(r"([A-Za-z0-9_.\[\]*-]+?)(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)
_OPERATORS = {
    "=": "equals", "!=": "not_equals", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte",
    "~": "matches",
}  # fmt: skip


def condition(text: str) -> dict[str, Any]:
    """The filter that an option says: FIELD=VALUE, or with != > >= < <= ~ in place of =.

    A value that is JSON is what that says. Ends the command where it is none.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        fail(f"--filter: {text[:64]!r} is not FIELD=VALUE (or != > >= < <= ~)", 2)
    field, operator, value = found.groups()
    if operator != "~":
        with contextlib.suppress(ValueError):  # it is meant as it stands
            value = json.loads(value)
    return {"field": field, "operator": _OPERATORS[operator], "value": value}


def follow(
    url: str | None,
    key: str | None,
    request: dict[str, Any],
    each: Callable[[dict[str, Any]], Awaitable[None]],
    limit: int | None,
) -> None:
    """Subscribes and hands each event's frame on, until there were ``limit`` or for ever."""

    async def main() -> None:
        left = limit
        async for frame in _frames(*gateway_of(url, key), request):
            await each(frame)
            if left is not None:
                left -= 1
                if not left:
                    return

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _frames(url: str, key: str, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Frames of events. Where the connection is lost a stream goes on behind the last one; subjects
    without a stream go on with what is new."""
    address = url.rstrip("/").replace("http", "ws", 1) + "/v1/ws"
    headers = {"Authorization": f"Bearer {key}"}
    begun = False
    while True:
        try:
            async with websockets.connect(
                address, additional_headers=headers, compression=None, max_size=None
            ) as socket:
                await socket.send(json.dumps({"action": "subscribe"} | request))
                async for text in socket:
                    frame = json.loads(text)
                    kind = frame["type"]
                    if kind == "event":
                        if request.get("stream") is not None:
                            request["from"] = {"seq": frame["seq"] + 1}
                        yield frame
                    elif kind == "subscribed":
                        if not begun and request.get("from", "new") == "new":
                            typer.echo("listening; Ctrl-C ends it", err=True)
                        begun = True
                    elif kind == "missed":
                        typer.echo(f"{frame['first']} to {frame['last']} are gone", err=True)
                    elif kind in ("error", "unsubscribed"):
                        if frame.get("code") != "unavailable":
                            fail(frame["detail"])
                        break
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in FINAL:
                fail(closed.rcvd.reason or f"the gateway closed with {closed.rcvd.code}")
        except (OSError, websockets.WebSocketException) as error:
            if not begun:
                fail(f"{url}: {error}")
        if begun:
            typer.echo("the connection was lost; connecting again", err=True)
        await asyncio.sleep(AGAIN)
