"""``event-gateway``: the command line. Each command, or group of commands, is a module."""

import sys
from typing import Annotated

import typer

from event_gateway.cli.lazy_group import HELP_STYLE, lazy_group
from event_gateway.cli.standard_streams import open_closed_streams
from event_gateway.cli.summaries import SUMMARIES

# Where each command is, in the order of the help: a module of cli/commands with its group, or a
# module and its function. What the help says of each is in the generated table of summaries.
COMMANDS = {
    "serve": "serve.serve",
    "check": "check.check",
    "schema": "schema.schema",
    "apply": "apply.apply",
    "console": "console.console",
    "reload": "reload.reload",
    "config": "config",
    "demo": "demo.demo",
    "send": "send.send",
    "trigger": "send.trigger",
    "replay": "replays.replay",
    "listen": "listen.listen",
    "top": "top.top",
    "health": "health.health",
    "doctor": "doctor.doctor",
    "backup": "backup.backup",
    "restore": "backup.restore",
    "mcp": "mcp.mcp",
    "context": "context",
    "events": "events",
    "webhooks": "webhooks",
    "expressions": "expressions",
    "deliveries": "deliveries",
    "dead-letters": "dead_letters",
    "replays": "replays",
    "rejected": "rejected",
    "secrets": "secrets",
    "keys": "keys",
    "tokens": "tokens",
    "catalog": "catalog",
    "streams": "streams",
    "subscriptions": "subscriptions",
    "sources": "sources",
    "alerts": "alerts",
    "audit-log": "audit_log",
}


def _prepare(command: typer.Typer) -> None:
    """Gives a command what all commands have."""
    from event_gateway.cli.client.place_options import take_place
    from event_gateway.cli.help_text import add_help

    add_help(command)
    take_place(command)


app = typer.Typer(
    cls=lazy_group(COMMANDS, SUMMARIES, _prepare),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=HELP_STYLE,
    help="Routes CloudEvents from NATS and HTTP to webhooks and live subscribers.",
)


def _print_version(requested: bool) -> None:
    if requested:
        from event_gateway import __version__

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
    open_closed_streams()
    sys.exit(app())
