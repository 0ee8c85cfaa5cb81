"""``event-gateway``: the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from event_gateway import __version__
from event_gateway.cli.commands import (
    catalog,
    dead_letters,
    deliveries,
    listen,
    replays,
    secrets,
    streams,
    webhooks,
)
from event_gateway.cli.commands.check import check_file
from event_gateway.config.schema import json_schema
from event_gateway.core.text.units import parse_duration

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Routes CloudEvents from NATS and HTTP to webhooks and live subscribers.",
)

app.add_typer(webhooks.app, name="webhooks")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(replays.app, name="replays")
app.add_typer(secrets.app, name="secrets")
app.add_typer(catalog.app, name="catalog")
app.add_typer(streams.app, name="streams")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file (YAML).")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"event-gateway {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Keys and the embedded servers' data.")] = Path(
        "data"
    ),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Let the file's streams drop events that they hold.")
    ] = False,
) -> None:
    """Run the gateway; NATS and Valkey are embedded where no url is configured."""
    from event_gateway.cli.process.serve import run

    raise typer.Exit(run(config, host, port, data_dir, workers, force=force))


@app.command()
def check(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file (YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate a configuration without starting anything."""
    raise typer.Exit(check_file(config, as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def demo(
    duration: Annotated[
        str | None, typer.Option("--for", help="End after so long, for example 20s.")
    ] = None,
) -> None:
    """Show it all: real servers, three receivers, a trickle of events, live in the terminal."""
    from event_gateway.cli.demo.run import run

    try:
        seconds = None if duration is None else parse_duration(duration)
    except ValueError as error:
        typer.echo(f"--for: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(run(seconds))


app.command()(replays.replay)
app.command()(listen.listen)


def main() -> None:
    """The console script."""
    sys.exit(app())
