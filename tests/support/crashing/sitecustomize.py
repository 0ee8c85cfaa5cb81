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
LOOK = 0.02  # seconds

_start = Supervisor.start


class MadeToCrash(Exception):
    """What the task raises."""


async def _asked(name: str) -> None:
    while True:
        try:
            (DIRECTORY / "crash" / name).unlink()
        except FileNotFoundError:
            await asyncio.sleep(LOOK)
        else:
            return


def _start_crashing(
    self: Supervisor, name: str, work: Work, *, about: str = "", policy: Policy = Policy.RESTART
) -> asyncio.Task[None]:
    async def run() -> None:
        working = asyncio.ensure_future(work())
        asked = asyncio.ensure_future(_asked(name))
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise MadeToCrash(name)
            await working
        finally:
            await end([working, asked])

    note = DIRECTORY / policy.value / name
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    return _start(self, name, run, about=about, policy=policy)


Supervisor.start = _start_crashing  # type: ignore[method-assign]
