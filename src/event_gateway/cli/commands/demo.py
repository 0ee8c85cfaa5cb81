"""``event-gateway demo``: shows a gateway at work."""

from typing import Annotated

import typer

from event_gateway.cli.client.output import fail
from event_gateway.core.text.units import parse_duration


def demo(
    duration: Annotated[
        str | None, typer.Option("--for", help="End after this duration, for example 20s.")
    ] = None,
    console: Annotated[
        bool, typer.Option("--console/--no-console", help="Whether the console runs.")
    ] = True,
) -> None:
    """Run a gateway with three receivers and a flow of events, shown live in the terminal."""
    from event_gateway.cli.demo.run import run

    try:
        seconds = None if duration is None else parse_duration(duration)
    except ValueError as error:
        fail(f"--for: {error}", 2)
    raise typer.Exit(run(seconds, console=console))
