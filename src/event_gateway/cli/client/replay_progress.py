"""Progress of a replay: a bar on a terminal, otherwise a line every few seconds."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

import typer

from event_gateway.cli.client.output import fail, print_answer
from event_gateway.cli.client.progress import ProgressBar
from event_gateway.cli.client.requests import content_or_fail, quoted, request_json, run_with_client
from event_gateway.core.webhook.replay import ENDED, ReplayState

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

# Seconds.
POLL_INTERVAL = 0.5
LINE_INTERVAL = 5.0  # without a terminal
MAX_OUTAGE = 30.0  # for which the gateway may be unreachable; its replay goes on meanwhile


def start_replay(
    url: str | None, key: str | None, path: str, body: dict[str, Any], *, wait: bool, quiet: bool
) -> dict[str, Any]:
    """Starts a replay and returns it: as it begins, or with ``wait`` once it has ended. ``quiet``:
    without showing its progress."""

    async def work(client: "GatewayClient") -> Any:
        replay = await request_json(client, "POST", path, body)
        return await _wait_until_ended(client, replay, quiet) if wait else replay

    replay: dict[str, Any] = run_with_client(url, key, work)
    return replay


def follow_replay(
    url: str | None, key: str | None, replay_id: str, *, quiet: bool
) -> dict[str, Any]:
    """Shows a replay's progress and returns it once it has ended."""

    async def work(client: "GatewayClient") -> Any:
        return await _wait_until_ended(client, await _read(client, replay_id, max_outage=0), quiet)

    replay: dict[str, Any] = run_with_client(url, key, work)
    return replay


def print_result(as_json: bool, replay: dict[str, Any]) -> None:
    """Prints a replay. The command fails if the replay failed or was cancelled."""
    print_answer(as_json, replay, lambda replay: [progress_line(replay)])
    if replay["state"] in (ReplayState.FAILED, ReplayState.CANCELLED):
        fail(f"{replay['id']} {replay['state']}: {replay['error'] or 'on request'}")


def progress_line(replay: dict[str, Any]) -> str:
    """A replay's state and counts in one line."""
    percent = "" if replay["state"] in ENDED else f" {replay['progress']:.0%}"
    left = replay["matched"] - replay["skipped"]
    queued = f"{left} to queue (dry run)" if replay["dry_run"] else f"{replay['queued']} queued"
    return (
        f"{replay['id']}: {replay['state']}{percent}, {replay['looked_at']} looked at, "
        f"{replay['matched']} matched, {replay['skipped']} skipped, {queued}"
    )


async def _wait_until_ended(
    client: "GatewayClient", replay: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    try:
        with _View(quiet or replay["state"] in ENDED) as view:
            while replay["state"] not in ENDED:
                view.show(replay)
                await asyncio.sleep(POLL_INTERVAL)
                replay = await _read(client, replay["id"], MAX_OUTAGE)
    except asyncio.CancelledError:
        typer.echo(
            f"{replay['id']} goes on; to follow it: event-gateway replays follow {replay['id']}",
            err=True,
        )
        raise
    return replay


async def _read(client: "GatewayClient", replay_id: str, max_outage: float) -> Any:
    deadline = time.monotonic() + max_outage
    while True:
        late = time.monotonic() >= deadline
        try:
            status, content = await client.request("GET", f"/v1/replays/{quoted(replay_id)}")
            if late or status != 503:
                return content_or_fail(status, content)
        except ConnectionError:
            if late:
                raise
        await asyncio.sleep(POLL_INTERVAL)


class _View:
    """Shows a replay's progress; ``quiet``: not at all."""

    def __init__(self, quiet: bool) -> None:
        self._bar = ProgressBar("queued", 1.0, quiet=quiet)
        self._quiet = quiet
        self._last, self._due = "", 0.0

    def __enter__(self) -> "_View":
        self._bar.__enter__()
        return self

    def __exit__(self, *ended: Any) -> None:
        self._bar.__exit__(*ended)

    def show(self, replay: dict[str, Any]) -> None:
        """Updates the bar, or prints a line if one is due."""
        if self._bar.shown:
            self._bar.show(replay["progress"], replay["queued"], replay["state"])
        elif (
            not self._quiet
            and time.monotonic() >= self._due
            and progress_line(replay) != self._last
        ):
            self._last, self._due = progress_line(replay), time.monotonic() + LINE_INTERVAL
            typer.echo(self._last)
