"""A process that was stopped past its lease cannot change what another process has recorded."""

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
async def test_a_process_stopped_past_its_lease_changes_nothing(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver, max_attempts: int
) -> None:
    """With one attempt its result would be a dead letter, with more a retry."""
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
            single = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            await single.webhook(
                id="w", url=f"{receiver.url}/w", events=["a"], timeout="1s",
                retry_policy={"max_attempts": max_attempts, "initial_delay": "100ms"},
            )  # fmt: skip
            sent = event("a")
            await single.send(sent)
            await receiver.until(1)
            os.kill(first.pid, signal.SIGSTOP)
            at = await second.start()
            two = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            done = await two.until("w", sent["id"], "succeeded")
            assert len(receiver.requests) == 2
            os.kill(first.pid, signal.SIGCONT)
            await asyncio.sleep(3)
            assert await two.delivery("w", sent["id"]) == done
            assert await single.delivery("w", sent["id"]) == done
            assert len(receiver.requests) == 2
            assert await two.stream_messages("GATEWAY_DEAD_LETTERS") == []
            again = event("a")
            await single.send(again)
            await single.until("w", again["id"], "succeeded")
        finally:
            for program in programs:
                if program.runs:
                    os.kill(program.pid, signal.SIGCONT)
                    await program.stop()
    assert all("Traceback" not in program.output for program in programs)
