"""All commands of the command line, which imports each only when it is called."""

from collections.abc import Iterator
from typing import Any

import typer

from event_gateway.cli.main import app


def all_commands() -> Iterator[tuple[str, Any]]:
    """Each command with the words that call it, such as ``webhooks list``."""
    root: Any = typer.main.get_command(app)
    for name in root.list_commands(None):
        yield from _of(root.get_command(None, name), name)


def _of(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _of(inner, f"{path} {name}")
    else:
        yield path, command
