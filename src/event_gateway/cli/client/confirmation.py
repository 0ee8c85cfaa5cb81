"""The question before what cannot be undone, or repeats many deliveries."""

import sys
from typing import Annotated

import typer

from event_gateway.cli.client.output import fail

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def require_terminal() -> None:
    """Ends the command where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        fail("there is no terminal to confirm at: give --yes", 2)


def confirm(question: str, yes: bool = False) -> None:
    """Asks unless ``yes``; ends the command if the answer is no, or where there is no terminal to
    ask at."""
    if yes:
        return
    require_terminal()
    if not typer.confirm(question, err=True):
        fail("cancelled; nothing was changed")
