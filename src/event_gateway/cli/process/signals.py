"""How a process is told to end."""

import asyncio
import os
import signal


class Ending:
    """SIGTERM and SIGINT: the first asks this process to end, the second ends it at once."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._starting = asyncio.current_task()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()

    def started(self) -> None:
        """From now on the task that made this is not cancelled, but hears of it by waiting."""
        self._starting = None

    async def wait(self) -> None:
        """Returns when it is to end."""
        await self._asked.wait()

    def _on_signal(self) -> None:
        if self.asked:
            os._exit(130)
        self._asked.set()
        if self._starting is not None:
            self._starting.cancel()
