"""The help of a command: its docstring in paragraphs, an example, and the scope of its key."""

import inspect

import typer

from event_gateway.cli.client.command_tree import commands_of
from event_gateway.cli.examples import EXAMPLES
from event_gateway.cli.scopes import scope_of


def add_help(app: typer.Typer) -> None:
    """Gives each command its help. A line of a docstring does not end a line of the help, which the
    terminal's width decides."""
    for words, command in commands_of(app):
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
        parts = []
        if example := EXAMPLES.get(words):
            parts.append(f"Example: {example}")
        if needed := scope_of(words):
            parts.append(f"Needs a key with the scope {needed}.")
        command.epilog = "\n\n".join(parts) or None
