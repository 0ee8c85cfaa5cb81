"""When the due loop wakes up."""

import asyncio
import math
from typing import Any, cast

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.due_signal import GATHER, DueSignal
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.pacing import PAUSE_MS, next_turn
from support.patience import PATIENCE

UNUSED = cast(Any, None)


def _lane(*, failing: bool = False) -> Lane:
    lane = Lane(Webhook("w", "http://localhost/", ("a",)), UNUSED)
    if failing:
        lane.record_failure()
    return lane


async def _waiting(signal: DueSignal, until: float = math.inf) -> asyncio.Task[None]:
    signal.sleep_until(until)
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    return waiting


async def _reached(waiting: asyncio.Task[None]) -> float:
    async with asyncio.timeout(PATIENCE):
        await waiting
    return asyncio.get_running_loop().time()


def test_turns_are_the_same_for_all_who_ask() -> None:
    pause = PAUSE_MS / 1000
    turns = {next_turn(1000.0 + part * pause) for part in (0.0, 0.1, 0.5, 0.9)}
    assert turns == {1000.0 + pause}
    assert next_turn(1000.0 + pause) == 1000.0 + 2 * pause
    for turn in range(2000):  # also where the time of a turn in ms is no whole number
        at = turn * PAUSE_MS / 1000
        assert next_turn(at) == (turn + 1) * PAUSE_MS / 1000


async def test_the_earliest_of_several_times_counts() -> None:
    signal = DueSignal()
    signal.expect_nothing()
    waiting = await _waiting(signal)
    now = asyncio.get_running_loop().time()
    signal.due_in(PATIENCE * 10)
    signal.due_in(0.05)
    signal.due_in(PATIENCE * 5)
    assert await _reached(waiting) >= now + 0.049


async def test_what_is_due_now_needs_no_timer() -> None:
    signal = DueSignal()
    signal.expect_nothing()
    waiting = await _waiting(signal)
    signal.due_now()
    for _ in range(2):  # turns of the event loop
        await asyncio.sleep(0)
    assert waiting.done()


async def test_a_lane_that_fails_waits_for_its_turn_and_another_does_not() -> None:
    for lane, earliest in ((_lane(failing=True), next_turn), (_lane(), lambda now: now + GATHER)):
        signal = DueSignal()
        waiting = await _waiting(signal)
        at = earliest(asyncio.get_running_loop().time())
        signal.request_deliveries(lane)
        assert await _reached(waiting) >= at - 0.001
        assert lane in signal.paced_lanes or lane in signal.lanes


async def test_what_is_left_after_a_round_comes_soon() -> None:
    signal = DueSignal()
    signal.request_deliveries(_lane(failing=True))
    signal.sleep_until(math.inf)
    signal.served()
    async with asyncio.timeout(PATIENCE):
        await signal.wait()
    signal.paced_lanes.clear()
    waiting = await _waiting(signal)
    signal.served()
    await asyncio.sleep(0.1)
    assert not waiting.done(), "nothing is left"
    waiting.cancel()
