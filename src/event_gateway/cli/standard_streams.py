"""Standard input, output and error of a command. They may be closed, full, or pipes without a
reader: the gateway runs on all the same."""

import contextlib
import os
import sys

import typer


def open_closed_streams() -> None:
    """Opens the null device in the place of each standard stream that is closed.

    Python has None for such a stream. Also, the next file or socket that is opened would get its
    number, and child processes would write their messages into that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            os.set_inheritable(opened, True)
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def say(text: str, *, err: bool = False) -> None:
    """Prints a line on standard output or error, where that can be written."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(text, err=err)


def drop_unwritten() -> None:
    """Drops what standard output and error could not write, on which Python's end would fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as null:
                os.dup2(null.fileno(), stream.fileno())
