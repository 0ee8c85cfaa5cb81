"""Progress of long work on a terminal: a bar, the count, the rate and the time that is left."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """Shown on the standard error, and only where that is a terminal.

    ``total``: of what ``done`` counts, such as bytes; None where it is not known. ``counted`` is
    what the count and the rate are of, such as events.
    """

    def __init__(self, what: str, total: float | None = None, *, quiet: bool = False) -> None:
        self._what = what
        self._started = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._bar = _drawn(total)
            self._task = self._bar.add_task(what, total=total)
        self._due = 0.0

    @property
    def shown(self) -> bool:
        """Whether there is a terminal to show it on."""
        return self._bar is not None

    def __enter__(self) -> "ProgressBar":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: float, counted: int, note: str = "") -> None:
        """Draws the bar again, at most ten times a second."""
        now = time.monotonic()
        if self._bar is None or now < self._due:
            return
        self._due = now + 0.1
        seconds = max(now - self._started, 0.001)
        text = f"{self._what} {counted:,}  {counted / seconds:,.0f}/s{note and f'  {note}'}"
        self._bar.update(self._task, completed=done, description=text, refresh=True)


def _drawn(total: float | None) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = [BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    return Progress(
        TextColumn("{task.description}", markup=False), *(bar if total else []),
        console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True,
    )  # fmt: skip
