"""A command that is called wrongly ends with one line, as with any other error."""

from typing import Any

import typer
from typer.core import TyperGroup

from event_gateway.cli.client.output import printable

_UsageError: Any = typer.BadParameter.__mro__[1]  # typer exports this subclass alone


class OneLineErrors(TyperGroup):
    """A group of all commands. Of a command that is called wrongly, typer prints the usage, a hint
    and a panel: three lines or more, of which the last alone says what is wrong."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """What the command line says of the group itself."""
        try:
            return super().make_context(*args, **extra)
        except _UsageError as error:
            raise _told(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Calls the command that the command line names."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _told(error) from None


def _told(error: Any) -> Exception:
    """Prints what is wrong, and which command's help says how it is called. A group without a
    command is no error: typer shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        shown: Exception = error
        return shown
    text = " ".join(error.format_message().split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    if error.ctx is not None:
        see = f"see {error.ctx.command_path} --help"
        text += f" Or {see}" if text.endswith("?") else f"; {see}"
    typer.echo(printable(text), err=True)
    return typer.Exit(2)
