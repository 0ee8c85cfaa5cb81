"""The beats of a process: what is done again and again is done together.

A process has some twenty things to look at once a second. If each had a timer of its own, an idle
process would wake up for each, and for each answer of Redis and NATS. On a common beat they ask in
one turn of the event loop, and their answers come in one or two reads.
"""

import asyncio
import math
import os
from collections.abc import Callable
from weakref import WeakKeyDictionary

# By event loop and time (ms of its clock): what is called then. A function is called once.
_beats: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, dict[Callable[[], object], None]]]"
_beats = WeakKeyDictionary()


async def beat(seconds: float) -> None:
    """Returns at a multiple of ``seconds`` of the process' clock: after one half of ``seconds`` at
    the least, and one and a half at the most; each ``seconds`` where it is called in a loop."""
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def reach() -> None:
        if not reached.done():
            reached.set_result(None)

    at_beat(seconds, reach)
    await reached


def at_beat(seconds: float, call: Callable[[], object]) -> None:
    """Calls a function when :func:`beat` would return."""
    loop = asyncio.get_running_loop()
    # Processes of one host share a clock; their beats must not fall together.
    phase = os.getpid() % 97 / 97
    number = math.floor((loop.time() - phase) / seconds + 1.5)
    at = round((number * seconds + phase) * 1000)
    beats = _beats.setdefault(loop, {})
    if at not in beats:
        beats[at] = {}
        loop.call_at(at / 1000, _reach, beats, at)
    beats[at][call] = None


def _reach(beats: dict[int, dict[Callable[[], object], None]], at: int) -> None:
    for call in beats.pop(at):
        call()
