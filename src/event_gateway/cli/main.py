"""``event-gateway``: the command line. Each command, or group of commands, is a module."""

import sys
from typing import Annotated

import typer

from event_gateway import __version__
from event_gateway.cli.client.authorities import take_ca
from event_gateway.cli.client.key_file import take_key_file
from event_gateway.cli.commands import (
    alerts,
    apply,
    audit_log,
    catalog,
    check,
    dead_letters,
    deliveries,
    demo,
    doctor,
    health,
    keys,
    listen,
    reload,
    replays,
    schema,
    secrets,
    serve,
    streams,
    tokens,
    top,
    webhooks,
)
from event_gateway.cli.scopes import add_scopes

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
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")
app.add_typer(catalog.app, name="catalog")
app.add_typer(streams.app, name="streams")
app.add_typer(alerts.app, name="alerts")
app.add_typer(audit_log.app, name="audit-log")
app.command()(serve.serve)
app.command()(check.check)
app.command()(schema.schema)
app.command()(apply.apply)
app.command()(reload.reload)
app.command()(demo.demo)
app.command()(replays.replay)
app.command()(listen.listen)
app.command()(top.top)
app.command()(health.health)
app.command()(doctor.doctor)
add_scopes(app)
take_ca(app)
take_key_file(app)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"event-gateway {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]


@app.callback()
def _root(version: VersionOption = False) -> None:
    pass


def main() -> None:
    """Runs the command line; the entry point of the package."""
    sys.exit(app())
