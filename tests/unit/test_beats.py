"""Beats: what is done again and again is done at the same times."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from event_gateway.beats import at_beat, beat

Run = Callable[[Coroutine[Any, Any, None]], None]
BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def beats_between(began: float, seconds: float) -> int:
    """How many beats there may have been to choose from since a time."""
    return int((time.monotonic() - began) / seconds) + 2


@BOTH_LOOPS
def test_who_waits_for_the_same_beat_goes_on_in_the_same_turn(run: Run) -> None:
    turns: list[int] = []
    at_most = 0

    async def waiting() -> None:
        nonlocal at_most
        turn = 0

        async def count_turns() -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0.001)

        async def wait() -> None:
            await beat(0.5)
            turns.append(turn)

        counting = asyncio.create_task(count_turns())
        began = time.monotonic()
        waits = [asyncio.create_task(wait()) for _ in range(6)]
        await asyncio.sleep(0)
        at_most = beats_between(began, 0.5)
        await asyncio.gather(*waits)
        counting.cancel()

    run(waiting())
    assert len(turns) == 6
    assert len(set(turns)) <= at_most


@BOTH_LOOPS
def test_a_function_is_called_once_for_a_beat_however_often_it_asks(run: Run) -> None:
    called = at_most = 0

    def call() -> None:
        nonlocal called
        called += 1

    async def asking() -> None:
        nonlocal at_most
        began = time.monotonic()
        for _ in range(100):
            at_beat(0.2, call)
        at_most = beats_between(began, 0.2)
        await beat(0.2)
        await beat(0.2)

    run(asking())
    assert 1 <= called <= at_most


def test_one_that_is_cancelled_leaves_the_beat_to_the_others() -> None:
    async def waiting() -> bool:
        first, other = asyncio.create_task(beat(0.2)), asyncio.create_task(beat(0.2))
        await asyncio.sleep(0)
        first.cancel()
        await other
        return first.cancelled()

    assert asyncio.run(waiting())


def test_beats_in_a_loop_skip_none_and_repeat_none() -> None:
    async def looping() -> list[float]:
        times = []
        for _ in range(5):
            await beat(0.05)
            times.append(asyncio.get_running_loop().time())
        return times

    times = asyncio.run(looping())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > 0.02 for gap in gaps), gaps  # never the same beat twice
