"""The option ``--key-file``: a key in a file is seen by no other user of the machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.added_options import add_option
from event_gateway.cli.client.output import fail

KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="The file with the key; also EVENT_GATEWAY_KEY_FILE."),
]


def take_key_file(commands: typer.Typer) -> None:
    """Gives the option ``--key-file`` to each command that has ``--key``. It counts before a key in
    the environment."""
    add_option(commands, "key_file", KeyFileOption, beside="key", take=_take)


def _take(file: Path | None, options: dict[str, Any]) -> None:
    if file is not None:
        options["key"] = key_in("--key-file", file)


def key_in(option: str, file: Path) -> str:
    """The key in a file. Ends the command, with the option's name, if there is none."""
    try:
        key = file.read_text().strip()
    except (OSError, ValueError) as error:
        fail(f"{option}: {file}: {getattr(error, 'strerror', None) or error}", 2)
    if not key:
        fail(f"{option}: {file} is empty", 2)
    return key
