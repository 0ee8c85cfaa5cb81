"""A process that was stopped past its lease, and goes on, changes nothing that another finished."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from support.client import connected, event
from support.program import LOOPBACK, Program
from support.receiver import Receiver


@pytest.mark.parametrize("max_attempts", [1, 5])
async def test_a_process_that_was_stopped(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver, max_attempts: int
) -> None:
    """With one attempt its own word would be a dead letter, with more another attempt."""
    nats_url, redis_url = servers
    own = LOOPBACK | {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    programs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        programs.append(Program(tmp_path / name, own))
    first, second = programs
    receiver.delays["/w"] = [3.0, 0.0]
    receiver.answers["/w"] = [500, 200]
    async with contextlib.AsyncExitStack() as stack:
        at = await first.start()
        try:
            one = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            await one.webhook(
                id="w", url=f"{receiver.url}/w", events=["a"], timeout="1s",
                retry_policy={"max_attempts": max_attempts, "initial_delay": "100ms"},
            )  # fmt: skip
            sent = event("a")
            await one.send(sent)
            await receiver.until(1)
            os.kill(first.pid, signal.SIGSTOP)
            at = await second.start()
            two = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            done = await two.until("w", sent["id"], "succeeded")
            assert len(receiver.got) == 2
            os.kill(first.pid, signal.SIGCONT)
            await asyncio.sleep(3)
            assert await two.delivery("w", sent["id"]) == done
            assert await one.delivery("w", sent["id"]) == done
            assert len(receiver.got) == 2
            assert await two.all_of("GATEWAY_DEAD_LETTERS") == []
            again = event("a")
            await one.send(again)
            await one.until("w", again["id"], "succeeded")
        finally:
            for program in programs:
                if program.runs:
                    os.kill(program.pid, signal.SIGCONT)
                    await program.stop()
    assert all("Traceback" not in program.output for program in programs)
