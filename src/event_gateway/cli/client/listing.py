"""Prints the lists of the API, and single items: for people as tables and lines, as JSON for
programs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from event_gateway.cli.client.output import Line, for_programs, print_answer, table
from event_gateway.cli.client.requests import call, list_items

# How a cell is made of an item: the name of a member, or a function.
Cell = str | Callable[[dict[str, Any]], str]
Columns = Mapping[str, Cell]  # by their heads


def print_list(
    url: str | None,
    key: str | None,
    path: str,
    columns: Columns,
    *,
    as_json: bool,
    limit: int | None = None,
    **query: Any,
) -> None:
    """Prints the items of a list, at most ``limit`` or all, those for which ``query`` holds."""
    items = list_items(url, key, path, limit, **query)
    print_answer(as_json, items, lambda items: table([*columns], rows_of(columns, items)))


def print_item(
    url: str | None,
    key: str | None,
    path: str,
    lines: Callable[[Any], Iterable[Line]],
    *,
    as_json: bool,
) -> None:
    """Prints an item that is mostly JSON, such as an event: as lines on a terminal, elsewhere as
    JSON."""
    print_answer(for_programs(as_json), call(url, key, "GET", path), lines)


def rows_of(columns: Columns, items: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of items; a hyphen where an item has no value, or an older gateway no such
    member."""
    return [[_text_of(item, cell) for cell in columns.values()] for item in items]


def _text_of(item: dict[str, Any], cell: Cell) -> str:
    if not isinstance(cell, str):
        return cell(item)
    value = item.get(cell)
    return "-" if value is None else str(value)
