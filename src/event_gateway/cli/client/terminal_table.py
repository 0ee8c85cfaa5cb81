"""Tables on a terminal: colours, and lines no wider than the terminal."""

from itertools import repeat

from rich.console import Console
from rich.table import Table
from rich.text import Text

MIN_LAST = 24  # characters; a narrower last column makes the rows hard to read
# Colours of cells that are one of these words.
_GOOD = ("active", "succeeded", "done", "ok", "closed", "healthy", "resolved", "created")
_MIDDLING = ("pending", "in_progress", "retrying", "paused", "half-open", "running", "degraded",
             "unverified", "warn", "unknown")  # fmt: skip
_BAD = ("failed", "dead_letter", "disabled", "open", "firing", "missing", "refused", "cancelled",
        "error", "unreadable")  # fmt: skip
_COLOURS = {
    **dict(zip(_GOOD, repeat("green"), strict=False)),
    **dict(zip(_MIDDLING, repeat("yellow"), strict=False)),
    **dict(zip(_BAD, repeat("red"), strict=False)),
}


def print_table(heads: list[str], rows: list[list[str]], console: Console | None = None) -> None:
    """Prints rows under their heads. Where they are too wide for the terminal the last column is
    wrapped; where that is not enough each row becomes a block of lines, a cell each."""
    console = console or Console(highlight=False)
    if not rows:
        console.print("none", style="dim")
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    before_last = sum(widths[:-1]) + 2 * (len(widths) - 1)
    if before_last + min(widths[-1], MIN_LAST) > console.width:
        _print_blocks(heads, rows, console)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads[:-1]:
        shown.add_column(head, no_wrap=True)
    shown.add_column(heads[-1], overflow="fold")
    for row in rows:
        shown.add_row(*map(_coloured, row))
    console.print(shown)


def _print_blocks(heads: list[str], rows: list[list[str]], console: Console) -> None:
    width = max(map(len, heads)) + 2
    for number, row in enumerate(rows):
        if number:
            console.print()
        for head, cell in zip(heads, row, strict=True):
            line = Text(head.ljust(width), "bold") + _coloured(cell)
            console.print(line, soft_wrap=True)


def _coloured(cell: str) -> Text:
    first = cell.split(" ", 1)[0]
    return Text(cell, _COLOURS.get(first, "") if first == cell or "(" in cell else "")
