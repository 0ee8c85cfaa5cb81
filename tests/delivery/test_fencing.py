"""A process that was stopped past its lease cannot change what another process has recorded."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
import redis.asyncio

from support.client import connected, event
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.stopping import stop_process


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
    receiver.answers["/w"] = [500, 200]
    receiver.holds["/w"] = answers = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        at = await first.start()
        try:
            single = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            await single.webhook(
                id="w", url=f"{receiver.url}/w", events=["a"], timeout="5m",
                retry_policy={"max_attempts": max_attempts, "initial_delay": "100ms"},
            )  # fmt: skip
            sent = event("a")
            await single.send(sent)
            await single.until("w", sent["id"], "in_progress")
            await receiver.until(1)
            stop_process(first.pid)
            del receiver.holds["/w"]  # the next request is answered at once
            # The lease ends now: the test need not wait for it.
            async with redis.asyncio.from_url(redis_url) as store:
                assert await store.zadd("queue:w", {sent["id"]: 1}, xx=True, ch=True) == 1
                await store.zadd("due", {"w": 1})
            at = await second.start()
            two = await stack.enter_async_context(connected(at["http"], nats_url, at["key"]))
            done = await two.until("w", sent["id"], "succeeded")
            assert len(receiver.requests) == 2
            os.kill(first.pid, signal.SIGCONT)
            answers.set()
            await single.lifecycle_events(1, "webhook.failed")  # it has the result of its attempt
            assert await second.stop() == 0
            again = event("a")
            await single.send(again)
            await single.until("w", again["id"], "succeeded")  # written after the result
            assert await single.delivery("w", sent["id"]) == done
            assert len(receiver.requests) == 3
            assert await first.stop() == 0
            assert await single.stream_messages("GATEWAY_DEAD_LETTERS") == []
        finally:
            for program in programs:
                if program.runs:
                    os.kill(program.pid, signal.SIGCONT)
                    await program.stop()
    assert all("Traceback" not in program.output for program in programs)
