"""uvicorn as the gateway and the console run it."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

from event_gateway.beats import at_beat

DATE = 1.0  # seconds between two dates in the headers of responses


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling, as its caller decides when it ends, and
    without its ten checks a second whether it is to end: they are most of the wake-ups of an idle
    process.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._woken = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Sets the date of responses, until :meth:`finish`."""
        while not await self.on_tick(0):
            self._woken.clear()
            at_beat(DATE, self._woken.set)
            await self._woken.wait()

    def finish(self) -> None:
        """Lets ``serve`` return once the requests that run have their responses."""
        self.should_exit = True
        self._woken.set()
