"""Gives an option to all commands that have another one, without each of them naming it."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from event_gateway.cli.client.command_tree import commands_of

# Takes the value of the option, and the options of the command, which it may change.
Take = Callable[[Any, dict[str, Any]], None]


def add_option(commands: typer.Typer, name: str, option: Any, *, beside: str, take: Take) -> None:
    """Gives an option to each command that has the parameter ``beside``. ``option``: its type as
    typer reads it; ``take`` is called before the command."""
    for _, command in commands_of(commands):
        callback = command.callback
        if callback is not None and beside in inspect.signature(callback).parameters:
            command.callback = _taking(callback, name, option, take)


def _taking(callback: Callable[..., Any], name: str, option: Any, take: Take) -> Callable[..., Any]:
    @functools.wraps(callback)
    def command(*arguments: Any, **options: Any) -> Any:
        take(options.pop(name), options)
        return callback(*arguments, **options)

    signature = inspect.signature(callback)
    added = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
    parameters = [*signature.parameters.values(), added]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {**callback.__annotations__, name: option}
    return command
