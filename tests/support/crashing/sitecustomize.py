"""Makes supervised tasks of a gateway process crash when a test asks for it.

Python imports this file at its start, as its directory is in PYTHONPATH. In CRASH_DIRECTORY the
process notes each task that it starts, in a file ``{policy}/{name}``; a task raises as soon as
there is a file ``crash/{name}``, which it removes.
"""

import asyncio
import os
from pathlib import Path

from event_gateway.tasks import Policy, Supervisor, Work, end

DIRECTORY = Path(os.environ["CRASH_DIRECTORY"])
INTERVAL = 0.1  # seconds between two checks for a file, by each of some fifty tasks

_start = Supervisor.start


class MadeToCrash(Exception):
    """What the task raises."""


async def _crash_requested(name: str) -> None:
    while True:
        try:
            (DIRECTORY / "crash" / name).unlink()
        except FileNotFoundError:
            await asyncio.sleep(INTERVAL)
        else:
            return


def _start_crashing(
    self: Supervisor, name: str, work: Work, *, about: str = "", policy: Policy = Policy.RESTART
) -> asyncio.Task[None]:
    async def run() -> None:
        task = asyncio.ensure_future(work())
        requested = asyncio.ensure_future(_crash_requested(name))
        try:
            await asyncio.wait({task, requested}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise MadeToCrash(name)
            await task
        finally:
            await end([task, requested])

    note = DIRECTORY / policy.value / name
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    return _start(self, name, run, about=about, policy=policy)


Supervisor.start = _start_crashing  # type: ignore[method-assign]
