"""Ending background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

REPEAT = 1.0  # seconds until a task that has not ended is told again


async def end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancels tasks and returns once they have ended; what they raise is dropped.

    Told again and again, because up to Python 3.11 ``asyncio.wait_for``, which the clients of NATS
    and Redis use, forgets a cancellation that arrives together with its result (bpo-37658).
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=REPEAT)
        await asyncio.gather(*done, return_exceptions=True)
