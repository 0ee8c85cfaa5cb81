"""The group of all commands: it imports the module of a command only when that command is called.

The import of all of them takes a second, which neither ``--help`` nor a completion may cost: they
only need names and summaries.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from event_gateway.cli.usage_errors import OneLineErrors

COMMANDS = "event_gateway.cli.commands"
# Panels and colours are for terminals; what makes them takes as long to import as all else.
_on_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: it is closed
HELP_STYLE: Literal["rich"] | None = "rich" if _on_terminal else None
Prepare = Callable[[typer.Typer], None]


def lazy_group(
    places: Mapping[str, str], summaries: Mapping[str, str], prepare: Prepare
) -> type[TyperGroup]:
    """A group with the commands ``{"name": "module"}`` or ``{"name": "module.function"}``, in this
    order. A module holds its group as ``app``. ``summaries`` has the first paragraph of each
    command's help. ``prepare`` is called with the application of a command before it is used."""

    only_listed = False  # while a list of the commands is made
    loaded: dict[str, Any] = {}  # prepared once, also where the group is made again

    class Lazy(OneLineErrors):
        def list_commands(self, ctx: Any) -> list[str]:
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if only_listed and cmd_name in places:
                return TyperCommand(cmd_name, help=summaries.get(cmd_name))
            if cmd_name in places and cmd_name not in loaded:
                loaded[cmd_name] = _load(cmd_name, places[cmd_name], prepare)
            return loaded.get(cmd_name)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            with listing():
                super().format_help(ctx, formatter)

        def shell_complete(self, ctx: Any, incomplete: str) -> Any:
            with listing():
                return super().shell_complete(ctx, incomplete)

    @contextlib.contextmanager
    def listing() -> Iterator[None]:
        nonlocal only_listed
        only_listed = True
        try:
            yield
        finally:
            only_listed = False

    return Lazy


def _load(name: str, place: str, prepare: Prepare) -> Any:
    module, _, function = place.partition(".")
    found = import_module(f"{COMMANDS}.{module}")
    whole = typer.Typer(rich_markup_mode=HELP_STYLE)
    whole.callback()(lambda: None)  # a group, also of one command
    if function:
        whole.command(name)(getattr(found, function))
    else:
        whole.add_typer(found.app, name=name)
    prepare(whole)
    command: Any = typer.main.get_command(whole)
    return command.commands[name]
