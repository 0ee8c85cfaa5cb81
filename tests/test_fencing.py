"""A process that was stopped past its lease, and goes on, changes nothing that another finished."""

import asyncio
import contextlib
import os
import signal

import pytest

from client import event
from pair import Pair
from receiver import Receiver


@pytest.mark.parametrize("max_attempts", [1, 5])
async def test_a_process_that_was_stopped(
    pair: Pair, receiver: Receiver, stack: contextlib.AsyncExitStack, max_attempts: int
) -> None:
    """With one attempt its own word would be a dead letter, with more another attempt."""
    receiver.delays["/w"] = [3.0, 0.0]
    receiver.answers["/w"] = [500, 200]
    one, two = await pair.start(stack, {}, {})
    await one.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], timeout="1s",
        retry_policy={"max_attempts": max_attempts, "initial_delay": "100ms"},
    )  # fmt: skip
    # Only one process is there to take it; the other comes back when that one is stopped.
    os.kill(pair.programs[1].pid, signal.SIGSTOP)
    sent = event("a")
    await one.send(sent)
    await receiver.until(1)
    os.kill(pair.programs[0].pid, signal.SIGSTOP)
    os.kill(pair.programs[1].pid, signal.SIGCONT)
    done = await two.until("w", sent["id"], "succeeded", timeout=40)
    assert len(receiver.got) == 2
    os.kill(pair.programs[0].pid, signal.SIGCONT)
    await asyncio.sleep(3)
    assert await two.delivery("w", sent["id"]) == done
    assert await one.delivery("w", sent["id"]) == done
    assert len(receiver.got) == 2
    assert await two.all_of("GATEWAY_DEAD_LETTERS") == []
    again = event("a")
    await one.send(again)
    await one.until("w", again["id"], "succeeded")
