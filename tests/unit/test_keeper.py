"""When the keeper of an embedded server sees that the server has ended."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from event_gateway.embedded import keeper
from event_gateway.embedded.disk import Disk
from event_gateway.embedded.end_watch import EndWatch
from event_gateway.embedded.keeper import Keeper
from event_gateway.embedded.process import ServerProcess
from support.patience import PATIENCE

COMMAND = [sys.executable, "-c", "import time; time.sleep(600)"]


async def test_the_end_of_a_process_is_told_once(tmp_path: Path) -> None:
    process = ServerProcess("sleeper", "sleeper", tmp_path)
    process.start(COMMAND)
    ended, told = asyncio.Event(), list[int]()

    def end() -> None:
        told.append(process.pid)
        ended.set()

    try:
        watch = EndWatch(process.pid, end)
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        await asyncio.sleep(0)
        watch.close()
        assert told == [process.pid]
        assert not process.running
        with pytest.raises(OSError, match="No such process"):
            EndWatch(process.pid, end)
    finally:
        await process.stop(1)


@pytest.mark.parametrize("found", ["told", "refused", "unknown"])
async def test_a_server_that_has_ended_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    """As the system tells of its end, and by looks where it does not, or Python cannot ask."""

    def refuse(*_given: object) -> None:
        raise OSError("refused")

    if found == "told":
        monkeypatch.setattr(keeper, "INTERVAL", 3600.0)
        monkeypatch.setattr(keeper, "FIRST_DELAY", 0.01)
    elif found == "refused":
        monkeypatch.setattr(os, "pidfd_open", refuse)
    else:
        monkeypatch.delattr(os, "pidfd_open")
    process = ServerProcess("sleeper", "sleeper", tmp_path)
    process.start(COMMAND)
    kept = Keeper(process, lambda: COMMAND, Disk(tmp_path), restart_after_full=False)
    task = asyncio.create_task(kept.run())
    try:
        for _ in range(3):
            ended = process.pid
            await asyncio.sleep(0)
            os.kill(ended, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE):
                while process.pid == ended:
                    await asyncio.sleep(0.01)
            assert process.running
    finally:
        task.cancel()
        await asyncio.wait([task])
        await process.stop(1)
