"""Signals that tell a process to end."""

import asyncio
import os
import signal


class Ending:
    """Handles SIGTERM and SIGINT: the first tells the process to end, the second ends it now."""

    def __init__(self) -> None:
        self._end = asyncio.Event()
        self._starting = asyncio.current_task()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._on_signal)

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
        if self._starting is not None:
            self._starting.cancel()
