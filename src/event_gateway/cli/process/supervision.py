"""Ends the process when a background task crashes without which it cannot work."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

from event_gateway.tasks import Supervisor, TaskCrashed

STOP_TIMEOUT = 10.0  # seconds in which the process closes its connections, then it ends anyway


@contextlib.asynccontextmanager
async def supervising(on_crash: Callable[[str], None]) -> AsyncIterator[Supervisor]:
    """The supervisor of this process' background tasks; ``on_crash`` counts them by name.

    When a task crashes whose policy is to end the process, what runs inside is cancelled, and
    TaskCrashed raised. So the process ends with an error, and its manager (the first of
    ``--workers`` processes, systemd, a container platform) starts it again.
    """
    inside = asyncio.current_task()
    assert inside is not None
    timers: list[asyncio.TimerHandle] = []

    def end_process(_crash: TaskCrashed) -> None:
        timers.append(asyncio.get_running_loop().call_later(STOP_TIMEOUT, os._exit, 1))
        inside.cancel()

    supervisor = Supervisor(on_crash=on_crash, on_fatal=end_process)
    try:
        yield supervisor
    except asyncio.CancelledError:
        if supervisor.fatal is None:
            raise
        inside.uncancel()
        raise supervisor.fatal from None
    finally:
        await supervisor.stop()
        for timer in timers:
            timer.cancel()
