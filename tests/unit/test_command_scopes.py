"""Each command that talks to a gateway says which scope its key needs."""

from collections.abc import Iterator
from typing import Any

import typer

from event_gateway.cli.main import app
from event_gateway.core.access.scope import SCOPES


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, f"{path} {name}".strip())
    else:
        yield path, command


def test_the_help_of_a_command_names_its_scope() -> None:
    tried = 0
    for path, command in _commands(typer.main.get_command(app), ""):
        if any("--key" in parameter.opts for parameter in command.params):
            assert command.epilog, f"{path}: name its scope in cli/scopes.py"
            assert command.epilog.removesuffix(".").split()[-1] in SCOPES
            tried += 1
    assert tried > 40
