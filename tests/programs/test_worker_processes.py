"""The process that starts ``--workers`` closes its pipes even if a worker cannot be started."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from event_gateway import tasks
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.workers import Workers
from event_gateway.observability.metrics import SharedFolder
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.tasks import Supervisor
from support.patience import PATIENCE

READY = """\
#!{python}
import json, os, sys, time
os.write(json.load(sys.stdin)["ready"], b"1")
time.sleep(600)
"""


@pytest.fixture
def executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of a worker: it becomes ready and runs on. Without this file no worker starts."""
    path = tmp_path / "worker"
    path.write_text(READY.format(python=sys.executable))
    path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Hosted(listener, "", "", AdminKeyFile(tmp_path), None)


@pytest.fixture
async def crashes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Supervisor, list[str]]]:
    """A supervisor, and the tasks that have crashed."""
    monkeypatch.setattr(tasks, "FIRST_DELAY", 0.001)
    crashed: list[str] = []
    supervisor = Supervisor(on_crash=crashed.append)
    yield supervisor, crashed
    await supervisor.stop()


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


async def _more_crashes(crashed: list[str], more: int) -> None:
    until = len(crashed) + more
    async with asyncio.timeout(PATIENCE):
        while len(crashed) < until:
            await asyncio.sleep(0.005)


async def test_a_dead_process_is_closed_once_however_often_no_other_can_be_started(
    executable: Path, hosted: Hosted, crashes: tuple[Supervisor, list[str]]
) -> None:
    supervisor, crashed = crashes
    before = len(_descriptors())
    async with Workers(
        2, None, hosted, supervisor, SharedFolder(executable.parent / "figures")
    ) as workers:
        open_pipes = len(_descriptors())
        stored = workers.keep(asyncio.Event())
        away = executable.rename(executable.with_suffix(".away"))
        dead = workers._workers[0].process
        dead.kill()
        await _more_crashes(crashed, 1)
        with contextlib.ExitStack() as stack:
            # A descriptor that was closed is taken by the next that is opened, and is not to be
            # closed a second time.
            others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
            for other in others:
                stack.callback(os.close, other)
            await _more_crashes(crashed, 3)
            assert len(_descriptors()) == open_pipes + len(others)
        away.rename(executable)
        async with asyncio.timeout(PATIENCE):
            while workers._workers[0].process is dead:
                await asyncio.sleep(0.01)
        assert len(_descriptors()) == open_pipes
        await tasks.end(stored)
    assert len(_descriptors()) == before


async def test_a_gateway_that_cannot_start_its_processes_leaves_nothing_open(
    executable: Path, hosted: Hosted, crashes: tuple[Supervisor, list[str]]
) -> None:
    executable.unlink()
    before = _descriptors()
    with pytest.raises(StartFailed, match="a process cannot be started: "):
        async with Workers(
            2, None, hosted, crashes[0], SharedFolder(executable.parent / "figures")
        ):
            pass
    assert _descriptors() == before
