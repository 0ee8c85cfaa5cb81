"""Tables keep to the width of the terminal, and lose nothing."""

import io

import pytest
from rich.console import Console

from event_gateway.cli.client.terminal_table import print_table

HEADS = ["ID", "STATE", "EVENTS"]
ROWS = [["crm", "active", "user.created user.deleted order.> ontology.schema.created"]]


def _printed(width: int, rows: list[list[str]]) -> list[str]:
    out = io.StringIO()
    print_table(HEADS, rows, Console(file=out, width=width, force_terminal=False))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_wide_terminal_shows_a_line_for_each_row() -> None:
    head, row = _printed(120, ROWS)
    assert head.split() == HEADS
    assert row == f"crm  active  {ROWS[0][2]}"


@pytest.mark.parametrize("width", [40, 60])
def test_the_last_column_is_wrapped(width: int) -> None:
    lines = _printed(width, ROWS)
    assert max(map(len, lines)) <= width
    assert len(lines) > 2
    assert " ".join(" ".join(lines[1:]).split()) == " ".join(ROWS[0])


def test_what_does_not_fit_becomes_a_block() -> None:
    assert _printed(30, [["a" * 25, "active", "x"], ["b", "failed", "y"]]) == [
        "ID      " + "a" * 25, "STATE   active", "EVENTS  x", "",
        "ID      b", "STATE   failed", "EVENTS  y",
    ]  # fmt: skip


def test_an_empty_list() -> None:
    assert _printed(80, []) == ["none"]
