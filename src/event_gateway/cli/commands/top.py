"""``event-gateway top``: a live view of a running gateway."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.requests import find_gateway, run_with_client

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient


def top(
    url: UrlOption = None,
    key: KeyOption = None,
    interval: Annotated[
        float, typer.Option(min=0.5, max=60, help="Seconds between two readings.")
    ] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Watch rates, latency, queues, breakers, alerts and streams.

    On a terminal it runs until you type q. Elsewhere, and with --json, it prints the figures of one
    interval and ends.
    """
    from rich.console import Console

    from event_gateway.cli.top.picture import picture
    from event_gateway.cli.top.readings import LatestReadings, watch

    console = Console(highlight=False)

    async def work(client: "GatewayClient") -> None:
        readings = LatestReadings(client, find_gateway(url, key).url)
        if console.is_terminal and not as_json:
            await watch(readings, console, interval)
            return
        await readings.read()
        await asyncio.sleep(interval)
        await readings.read()
        if as_json:
            health = {"health": readings.view.health, "reasons": readings.view.reasons}
            typer.echo(json.dumps(health | readings.view.figures.json(), indent=2))
            return
        console.print(picture(readings.view, console.width, 1000, live=False))

    run_with_client(url, key, work)
