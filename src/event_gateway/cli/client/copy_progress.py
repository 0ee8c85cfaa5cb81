"""Progress of a backup or a restore: a bar for each thing that is copied on a terminal, otherwise
a line on the standard error every half minute."""

import time
from collections.abc import Callable
from types import TracebackType

import typer

from event_gateway.cli.client.progress import ProgressBar

LINE_INTERVAL = 30.0  # seconds


class CopyProgress:
    """Shows what is copied, one thing after the other. ``clock``: monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what = ""
        self._bar: ProgressBar | None = None
        self._due = clock() + LINE_INTERVAL

    def __enter__(self) -> "CopyProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_bar()

    def show(self, what: str, done: int, total: int) -> None:
        """Shows how much of ``what``, such as ``keys in Redis``, is done."""
        if what != self._what or self._bar is None:
            self._end_bar()
            self._what, self._bar = what, ProgressBar(what, max(total, 1))
            self._bar.__enter__()
        if self._bar.shown:
            self._bar.show(done, done)
        elif (now := self._clock()) >= self._due:
            self._due = now + LINE_INTERVAL
            share = done / max(total, 1)
            typer.echo(f"{what}: {done:,} of {total:,} ({share:.0%})", err=True)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
