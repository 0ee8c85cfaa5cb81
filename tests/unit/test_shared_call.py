"""Callers that ask for the same thing at the same time share one call."""

import asyncio

import pytest

from event_gateway.shared_call import SharedCall


class Asked:
    """What is asked: it answers with the number of the call once it is told."""

    def __init__(self) -> None:
        self.calls = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return number


async def started(shared: SharedCall[int], count: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(shared()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_ask_meanwhile_get_the_same_answer_and_later_ones_another() -> None:
    asked = Asked()
    shared = SharedCall(asked)
    tasks = await started(shared, 3)
    asked.go_on.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await shared() == 2


async def test_an_error_is_raised_for_all_who_asked() -> None:
    asked = Asked()
    shared = SharedCall(asked)
    tasks = await started(shared, 2)
    asked.error = OSError("away")
    asked.go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes == [asked.error, asked.error]
    asked.error = None
    assert await shared() == 2


async def test_where_the_first_is_cancelled_another_asks() -> None:
    asked = Asked()
    shared = SharedCall(asked)
    first, second, third = await started(shared, 3)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    while asked.calls < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # the third is woken in the same turn
    asked.go_on.set()
    assert [await second, await third] == [2, 2]
    assert asked.calls == 2


async def test_one_that_is_cancelled_leaves_the_answer_to_the_others() -> None:
    asked = Asked()
    shared = SharedCall(asked)
    first, second = await started(shared, 2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    asked.go_on.set()
    assert await first == 1
