"""The options that say where the gateway is, for each command that talks to one.

A command declares ``url`` and ``key``. It is given the other options too, and called with the URL
and the key that were found; ``place()`` has the rest.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.command_tree import commands_of
from event_gateway.cli.client.completion import complete_contexts
from event_gateway.cli.client.contexts import load_contexts
from event_gateway.cli.client.place import DATA_DIR, GatewayPlace, find_place

KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", envvar="EVENT_GATEWAY_KEY_FILE", help="The file with the key."),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="EVENT_GATEWAY_CA",
        help="A PEM file with the authority of the gateway's certificate; by default the system's.",
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context", envvar="EVENT_GATEWAY_CONTEXT", autocompletion=complete_contexts,
        help="A saved gateway: event-gateway context list.",
    ),
]  # fmt: skip
DirectoryOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data directory of a gateway that runs on this machine."),
]
_OPTIONS = {
    "key_file": KeyFileOption, "ca": CaOption, "context": ContextOption,
    "data_dir": DirectoryOption,
}  # fmt: skip
_NAMES = ("url", "key", *_OPTIONS)
_place = GatewayPlace()


def place() -> GatewayPlace:
    """Where the gateway of this command is."""
    return _place


def take_place(commands: typer.Typer) -> None:
    """Gives the options to each command that has ``--url``."""
    for _, command in commands_of(commands):
        callback = command.callback
        if callback is not None and "url" in inspect.signature(callback).parameters:
            command.callback = _taking(callback)


def _taking(callback: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(callback)
    added = {name: option for name, option in _OPTIONS.items() if name not in signature.parameters}

    @functools.wraps(callback)
    def command(*, context_of_command: typer.Context, **options: Any) -> Any:
        _find(context_of_command, options, has_directory="data_dir" not in added)
        for name in added:
            options.pop(name)
        return callback(**options | {"url": _place.url, "key": _place.key})

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(each.replace(kind=keyword) for each in signature.parameters.values()),
        *(
            inspect.Parameter(name, keyword, default=None, annotation=option)
            for name, option in added.items()
        ),
        inspect.Parameter("context_of_command", keyword, annotation=typer.Context),
    ]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {
        **callback.__annotations__, **added, "context_of_command": typer.Context,
    }  # fmt: skip
    return command


def _find(context: typer.Context, options: dict[str, Any], *, has_directory: bool) -> None:
    """``has_directory``: --data-dir is the command's own, and says where it looks at last."""
    global _place
    by_source: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for name in _NAMES:
        if options.get(name) is not None:
            source = context.get_parameter_source(name)
            by_source[source is not None and source.name == "ENVIRONMENT"][name] = options[name]
    directory = by_source[False].pop("data_dir") if has_directory else None
    _place = find_place(
        by_source[False], by_source[True], load_contexts,
        directory=directory or DATA_DIR, in_use=not has_directory,
    )  # fmt: skip
