"""Forwards events one after another, prints each answer, and the last one again at a key."""

import asyncio
import sys
from typing import Any

import msgspec
import typer

from event_gateway.cli.client.output import has_colours, printable
from event_gateway.cli.listen.forwarder import Answer, Forwarder
from event_gateway.tasks import spawn

MAX_LINES, MAX_COLUMNS = 20, 400  # of an answer's body, as shown
AGAIN = b"r"


class ListenSession:
    """``as_json``: each answer is one line of JSON."""

    def __init__(self, forwarder: Forwarder, *, as_json: bool) -> None:
        self._forwarder = forwarder
        self._as_json = as_json
        self._last: dict[str, Any] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None
        if sys.stdin.isatty():
            typer.echo("r posts the last event again", err=True)

    async def forward(self, frame: dict[str, Any]) -> None:
        """Posts an event, and prints the answer."""
        async with self._one_at_a_time:
            self._last = frame
            self._print(await self._forwarder.post(frame), "")

    def typed(self, keys: bytes) -> None:
        """Posts the last event again if that key was typed."""
        if AGAIN not in keys or self._last is None:
            return
        if self._again is None or self._again.done():
            self._again = spawn(self._resend(self._last), name="listen-again")

    async def _resend(self, frame: dict[str, Any]) -> None:
        async with self._one_at_a_time:
            self._print(await self._forwarder.post(frame), "  (again)")

    def _print(self, answer: Answer, note: str) -> None:
        if self._as_json:
            typer.echo(msgspec.json.encode(answer).decode())
            return
        result = str(answer["error"] or answer["status_code"])
        colour = typer.colors.GREEN if answer["ok"] else typer.colors.RED
        if has_colours(sys.stdout):
            result = typer.style(printable(result), fg=colour)
        took = f"{answer['method']}  {answer['duration_ms']} ms"
        event = printable(f"{answer['type']}  {answer['id']}")
        typer.echo(f"{result}  {took}{note}  {event}")
        for line in (answer["body"] or "").splitlines()[:MAX_LINES]:
            typer.echo(f"    {printable(line[:MAX_COLUMNS])}")
