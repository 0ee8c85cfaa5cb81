"""All commands of an application, also those of its groups."""

from collections.abc import Iterator

import typer
from typer.models import CommandInfo


def commands_of(app: typer.Typer, group: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """Each command, with the words that call it, such as ``webhooks list``."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        yield f"{group} {name}".strip(), command
    for inner in app.registered_groups:
        assert inner.typer_instance is not None
        yield from commands_of(inner.typer_instance, f"{group} {inner.name}".strip())
