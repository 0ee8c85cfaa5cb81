"""Exports of the API, lines of JSON: a command writes one to a file, or checks one."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from event_gateway.cli.client.lines import Interrupted
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.progress import ProgressBar


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ends the command where Ctrl-C is pressed within, or the connection is lost."""
    try:
        yield
    except Interrupted as error:
        fail(f"the export is not complete: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def write_export(lines: Iterable[bytes], output: Path | None, *, end: bytes = b"") -> None:
    """Writes the lines of an export to a file, or to standard output. The file gets its name only
    after the last line: it is complete.

    ``end``: what the last line begins with; without it the command ends, as the export is cut off.
    """
    with interruptible():
        try:
            if output is None:
                for line in lines:
                    sys.stdout.buffer.write(line + b"\n")
                sys.stdout.buffer.flush()
                return
            partial, last = output.with_name(f"{output.name}.part"), b""
            with partial.open("wb") as file, ProgressBar("written") as bar:
                for number, last in enumerate(lines, 1):
                    file.write(last + b"\n")
                    bar.show(number, number)
            if not last.startswith(end):
                fail("the export is not complete: its end is missing")
            partial.replace(output)
        except OSError as error:
            fail(f"{output or 'standard output'}: {error.strerror or error}")


def check_export(
    lines: Iterable[bytes] | Path,
    add: Callable[[bytes], None],
    *,
    what: str,
    counted: Callable[[], int],
    total: int | None = None,
    quiet: bool,
) -> None:
    """Gives each line of an export, or of a file with one, to ``add``. Ends the command if the
    export is not complete, or the file cannot be read.

    For the progress: ``what`` happens to the lines, how many records ``counted`` has counted, and
    of how many in ``total``.
    """
    with interruptible():
        if not isinstance(lines, Path):
            with ProgressBar(what, total, quiet=quiet) as bar:
                for line in lines:
                    add(line)
                    bar.show(counted(), counted())
            return
        try:
            size, done = lines.stat().st_size, 0
            with lines.open("rb") as file, ProgressBar(what, size, quiet=quiet) as bar:
                for line in file:
                    add(line.rstrip(b"\r\n"))
                    done += len(line)
                    bar.show(done, counted())
        except OSError as error:
            fail(f"{lines}: {error.strerror or error}", 2)
