"""Beats: the common times at which the periodic tasks of a process wake up.

A process has some twenty tasks that look at something once a second. If each had a timer of its
own, an idle process would wake up for each, and for each answer of Redis and NATS. On a common beat
they ask in one turn of the event loop, and their answers come in one or two reads.
"""

import asyncio
import os
from collections.abc import Callable
from weakref import WeakKeyDictionary


class _Beat:
    """The functions and tasks that wait for one beat. A function is called once, however often it
    was registered."""

    __slots__ = ("calls", "waiting")

    def __init__(self) -> None:
        self.calls: dict[Callable[[], object], None] = {}
        self.waiting: list[asyncio.Future[None]] = []


class _Beats:
    """The beats of one event loop, by their time (ms of its clock)."""

    def __init__(self) -> None:
        self.coming: dict[int, _Beat] = {}
        # Processes of one host share a clock; their beats must not fall together.
        self.phase = os.getpid() % 97 / 97


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Beats] = WeakKeyDictionary()
# The event loop of the latest call, and its beats: nearly always there is only one.
_latest: tuple[asyncio.AbstractEventLoop | None, _Beats] = None, _Beats()
_reached = False


async def beat(seconds: float) -> None:
    """Returns at a multiple of ``seconds`` of the process' clock: after half of ``seconds`` at the
    earliest, and after one and a half times ``seconds`` at the latest. A loop that calls it runs
    every ``seconds``."""
    loop = asyncio.get_running_loop()
    reached: asyncio.Future[None] = loop.create_future()
    _next(loop, seconds).waiting.append(reached)
    await reached


def at_beat(seconds: float, call: Callable[[], object]) -> None:
    """Calls a function when :func:`beat` would return."""
    _next(asyncio.get_running_loop(), seconds).calls[call] = None


def is_beat() -> bool:
    """Whether a beat was reached in this turn of the event loop, so that other tasks run, too."""
    return _reached


def _next(loop: asyncio.AbstractEventLoop, seconds: float) -> _Beat:
    global _latest
    known, beats = _latest
    if known is not loop:
        beats = _of_loops.setdefault(loop, _Beats())
        _latest = loop, beats
    number = int((loop.time() - beats.phase) / seconds + 1.5)
    at = int((number * seconds + beats.phase) * 1000 + 0.5)
    coming = beats.coming.get(at)
    if coming is None:
        coming = beats.coming[at] = _Beat()
        loop.call_at(at / 1000, _reach, loop, beats, at)
    return coming


def _reach(loop: asyncio.AbstractEventLoop, beats: _Beats, at: int) -> None:
    global _reached
    _reached = True
    coming = beats.coming.pop(at)
    for reached in coming.waiting:
        if not reached.done():
            reached.set_result(None)
    for call in coming.calls:
        call()
    loop.call_soon(_pass)  # after the tasks that this beat has woken


def _pass() -> None:
    global _reached
    _reached = False
