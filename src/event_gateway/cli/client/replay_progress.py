"""Replays while they run: a bar on a terminal, elsewhere a line now and then."""

import asyncio
import time
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from event_gateway.cli.client.gateway_client import answer, checked, fail, part, run, shown
from event_gateway.cli.client.http import GatewayClient
from event_gateway.core.webhook.replay import ENDED, ReplayState

LOOK = 0.5  # seconds between looks how far it is
LINE = 5.0  # seconds between lines, where there is no terminal
PATIENCE = 30.0  # seconds for which a gateway that is away is waited for; the replay goes on


def carry_out(
    url: str | None, key: str | None, path: str, body: dict[str, Any], *, wait: bool, quiet: bool
) -> dict[str, Any]:
    """Has a replay begin; with ``wait`` it has ended when it is given back."""

    async def work(client: GatewayClient) -> Any:
        replay = await answer(client, "POST", path, body)
        return await _followed(client, replay, quiet) if wait else replay

    replay: dict[str, Any] = run(url, key, work)
    return replay


def follow(url: str | None, key: str | None, replay_id: str, *, quiet: bool) -> dict[str, Any]:
    """A replay, once it has ended."""

    async def work(client: GatewayClient) -> Any:
        return await _followed(client, await _look(client, replay_id, patience=0), quiet)

    replay: dict[str, Any] = run(url, key, work)
    return replay


def told(as_json: bool, replay: dict[str, Any]) -> None:
    """Prints how a replay has ended; the command fails where it was not carried out."""
    shown(as_json, replay, lambda one: [line(one)])
    if replay["state"] in (ReplayState.FAILED, ReplayState.CANCELLED):
        fail(f"{replay['id']} {replay['state']}: {replay['error'] or 'on request'}")


def line(replay: dict[str, Any]) -> str:
    """How far a replay is."""
    going = "" if replay["state"] in ENDED else f" {replay['progress']:.0%}"
    left = replay["matched"] - replay["skipped"]
    queued = f"{left} to queue (dry run)" if replay["dry_run"] else f"{replay['queued']} queued"
    return (
        f"{replay['id']}: {replay['state']}{going}, {replay['looked_at']} looked at, "
        f"{replay['matched']} matched, {replay['skipped']} skipped, {queued}"
    )


async def _followed(client: GatewayClient, replay: dict[str, Any], quiet: bool) -> dict[str, Any]:
    try:
        with _View(quiet or replay["state"] in ENDED) as view:
            while replay["state"] not in ENDED:
                view.show(replay)
                await asyncio.sleep(LOOK)
                replay = await _look(client, replay["id"], PATIENCE)
    except asyncio.CancelledError:
        typer.echo(
            f"{replay['id']} runs on; to go on here: event-gateway replays follow {replay['id']}",
            err=True,
        )
        raise
    return replay


async def _look(client: GatewayClient, replay_id: str, patience: float) -> Any:
    deadline = time.monotonic() + patience
    while True:
        late = time.monotonic() >= deadline
        try:
            status, content = await client.request("GET", f"/v1/replays/{part(replay_id)}")
            if late or status != 503:
                return checked(status, content)
        except ConnectionError:
            if late:
                raise
        await asyncio.sleep(LOOK)


class _View:
    """Shows how far a replay is; ``quiet``: not at all."""

    def __init__(self, quiet: bool) -> None:
        console = Console(highlight=False)
        self._bar: Progress | None = None
        if console.is_interactive and not quiet:
            columns = TextColumn("{task.description}", markup=False), BarColumn(24)
            self._bar = Progress(
                *columns, TaskProgressColumn(), console=console, auto_refresh=False, transient=True
            )
            self._task = self._bar.add_task("", total=1.0)
        self._quiet = quiet
        self._last, self._due = "", 0.0

    def __enter__(self) -> "_View":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, replay: dict[str, Any]) -> None:
        """The replay as it is now."""
        if self._bar is not None:
            text = f"{replay['id']} {replay['state']}, {replay['queued']} queued"
            self._bar.update(
                self._task, completed=replay["progress"], description=text, refresh=True
            )
        elif not self._quiet and time.monotonic() >= self._due and line(replay) != self._last:
            self._last, self._due = line(replay), time.monotonic() + LINE
            typer.echo(self._last)
