"""Live events for commands, which go on when the connection is lost."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import typer
import websockets

from event_gateway.cli.client.failures import refused, unreachable
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.place_options import place
from event_gateway.cli.client.requests import FoundGateway, find_gateway
from event_gateway.cli.client.typed_keys import typed_keys

RECONNECT_DELAY = 1.0  # seconds
FINAL_CODES = frozenset((1008, 4401, 4403))  # close codes after which to give up


def follow(
    url: str | None,
    key: str | None,
    request: dict[str, Any],
    each: Callable[[dict[str, Any]], Awaitable[None]],
    limit: int | None,
    *,
    begun: Callable[[], None] | None = None,
    typed: Callable[[bytes], None] | None = None,
) -> None:
    """Subscribes and calls ``each`` with the frame of each event, ``limit`` times or for ever. The
    event in a frame is JSON text (``msgspec.Raw``). ``begun`` is called first, in the event loop;
    ``typed`` with the keys that are typed at a terminal."""

    async def main() -> None:
        left = limit
        if begun is not None:
            begun()
        with contextlib.nullcontext() if typed is None else typed_keys(typed):
            async for frame in _frames(find_gateway(url, key), request):
                await each(frame)
                if left is not None:
                    left -= 1
                    if not left:
                        return

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _frame(text: str | bytes) -> dict[str, Any]:
    """A frame, its event as JSON text: a command prints the digits of numbers as they came in."""
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return {
        name: raw if name == "event" else msgspec.json.decode(raw) for name, raw in members.items()
    }


async def _frames(gateway: FoundGateway, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Frames of events. After a lost connection a stream goes on behind the last event; subjects
    without a stream go on with new events."""
    address = gateway.url.rstrip("/").replace("http", "ws", 1) + "/v1/ws"
    headers = {"Authorization": f"Bearer {gateway.key}"}
    started = False
    lost_at: float | None = None
    while True:
        try:
            async with websockets.connect(
                address,
                additional_headers=headers,
                compression=None,
                max_size=None,
                ssl=gateway.tls,
            ) as socket:
                await socket.send(json.dumps({"action": "subscribe"} | request))
                async for text in socket:
                    frame = _frame(text)
                    kind = frame["type"]
                    if kind == "subscribed":
                        if not started and request.get("from", "new") == "new":
                            typer.echo("listening; end with Ctrl-C", err=True)
                        started = True
                        if lost_at is not None:
                            typer.echo(_connected_again(request, lost_at), err=True)
                            lost_at = None
                    if kind in ("subscribed", "event", "position") and request.get("stream"):
                        request["from"] = {"seq": frame["seq"] + 1}
                    if kind == "event":
                        yield frame
                    elif kind == "missed":
                        typer.echo(_missed(frame), err=True)
                    elif kind in ("error", "unsubscribed"):
                        if frame.get("code") != "unavailable":
                            fail(frame["detail"], 2 if frame.get("code") == "invalid" else 1)
                        break
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in FINAL_CODES:
                reason = closed.rcvd.reason or f"the gateway closed with {closed.rcvd.code}"
                fail(refused(closed.rcvd.code - 4000, {"detail": reason}, place()))
        except (OSError, websockets.WebSocketException) as error:
            if not started:
                fail(unreachable(f"{gateway.url}: {error}", place()))
        if started and lost_at is None:
            lost_at = time.monotonic()
            typer.echo("connection lost; connecting again", err=True)
        await asyncio.sleep(RECONNECT_DELAY)


def _connected_again(request: dict[str, Any], lost_at: float) -> str:
    seconds = time.monotonic() - lost_at
    if request.get("stream"):
        return f"connected again after {seconds:.0f} s"
    return f"connected again after {seconds:.0f} s; events of that time are not shown"


def _missed(frame: dict[str, Any]) -> str:
    if frame.get("code") == "stream_recreated":
        return "the stream was created again, and begins again with its first event"
    return f"missed {frame['first']} to {frame['last']}: dropped by the stream"
