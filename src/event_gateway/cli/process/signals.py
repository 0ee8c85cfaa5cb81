"""Signals that tell a process to end."""

import asyncio
import os
import signal
import sys
import threading


class Ending:
    """Handles SIGTERM and SIGINT: the first tells the process to end, the second ends it now.

    ``drain_timeout``: seconds for which attempts may go on; a reload may change it. ``margin``
    seconds later, those that all other steps of the end may take, the process ends all the same,
    whatever keeps it.
    """

    def __init__(self, drain_timeout: float, *, margin: float) -> None:
        self._end = asyncio.Event()
        self._starting = asyncio.current_task()
        self.drain_timeout = drain_timeout
        self._margin = margin
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._on_signal)

    def set_drain_timeout(self, seconds: float) -> None:
        """Sets for how long attempts may go on, after a reload."""
        self.drain_timeout = seconds

    @property
    def requested(self) -> bool:
        """Whether the process is to end."""
        return self._end.is_set()

    def started(self) -> None:
        """From now on a signal does not cancel the task that made this; :meth:`wait` returns."""
        self._starting = None

    async def wait(self) -> None:
        """Returns when the process is to end."""
        await self._end.wait()

    def _on_signal(self) -> None:
        if self.requested:
            os._exit(130)
        self._end.set()
        # A thread: the event loop may be what does not go on.
        at_last = threading.Timer(self.drain_timeout + self._margin, _end_now)
        at_last.daemon = True
        at_last.start()
        if self._starting is not None:
            self._starting.cancel()


def _end_now() -> None:
    try:
        sys.stderr.write("event-gateway: the process has not ended in time, and ends now\n")
        sys.stderr.flush()
    finally:  # also if the output cannot be written
        os._exit(1)
