"""What commands print: answers as JSON or as lines, tables, and errors."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

import typer


def fail(detail: str, status: int = 1) -> NoReturn:
    """Ends the command with one line on stderr and an exit status: 1 failed, 2 wrong usage."""
    typer.echo(detail, err=True)
    raise typer.Exit(status)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under heads."""

    heads: list[str]
    rows: list[list[str]]


Line = str | Table


def print_answer(as_json: bool, content: Any, lines: Callable[[Any], Iterable[Line]]) -> None:
    """Prints an answer as JSON, or as the lines and tables that ``lines`` makes of it. Characters
    that could control the terminal are replaced by question marks.

    A list is one JSON array. On a terminal tables have colours and keep to its width. Elsewhere no
    cell is cut off or wrapped, as another program may read the lines.
    """
    if as_json:
        print_json(content)
        return
    for line in lines(content):
        if isinstance(line, str):
            typer.echo(printable(line))
        elif sys.stdout.isatty():
            from event_gateway.cli.client.terminal_table import print_table

            print_table(line.heads, [[printable(cell) for cell in row] for row in line.rows])
        else:
            for row in _aligned(line):
                typer.echo(printable(row))


def for_programs(as_json: bool) -> bool:
    """Whether an answer that is mostly JSON is printed as such: with ``--json``, or where there is
    no terminal."""
    return as_json or not sys.stdout.isatty()


def indented(content: Any) -> list[Line]:
    """The lines of JSON for people, a little indented."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return [f"  {line}" for line in text.splitlines()]


def print_json(content: Any) -> None:
    """Prints JSON for other programs."""
    typer.echo(json.dumps(content, indent=2))


def has_colours(stream: TextIO) -> bool:
    """Whether what is printed has colours: on a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def print_coloured(line: str, colour: str | None, *, err: bool = False) -> None:
    """Prints a line in a colour of typer, where there are colours. ``err``: on stderr."""
    line = printable(line)
    if colour is not None and has_colours(sys.stderr if err else sys.stdout):
        line = typer.style(line, fg=colour)
    typer.echo(line, err=err)


def printable(line: str) -> str:
    """A line with a question mark for each character that could control the terminal."""
    return "".join(char if char.isprintable() else "?" for char in line)


def table(heads: list[str], rows: list[list[str]]) -> list[Line]:
    """A table among the lines of an answer."""
    return [Table(heads, rows)]


def _aligned(table: Table) -> list[str]:
    widths = [max(map(len, column)) for column in zip(table.heads, *table.rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [table.heads, *table.rows]
    ]


def fields(values: dict[str, Any]) -> list[str]:
    """A line ``name: value`` for each value that is not None, with the values aligned."""
    width = max(map(len, values)) + 1
    return [f"{name + ':':<{width}} {value}" for name, value in values.items() if value is not None]


def warnings_of(answer: dict[str, Any]) -> list[str]:
    """A line for each warning of an answer."""
    return [f"warning: {warning['detail']}" for warning in answer.get("warnings", ())]
