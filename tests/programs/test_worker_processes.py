"""The process that starts ``--workers`` closes its pipes even if a worker cannot be started."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from event_gateway import tasks
from event_gateway.cli.process.forks import ForkServer
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.reload import Hangups
from event_gateway.cli.process.signals import Ending
from event_gateway.cli.process.workers import Workers
from event_gateway.observability.metrics import SharedFolder
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.tasks import Supervisor
from support.patience import PATIENCE

READY = (
    "import os, signal, sys, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    "os.write(int(sys.argv[1]), b'R'); time.sleep(600)"
)


class Forks:
    """Starts programs that become ready and run on; none while ``away``."""

    alive, away, pid = True, False, os.getpid()

    def __init__(self) -> None:
        self.forced: list[bool] = []

    def fork(self, message: bytes, descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
        if self.away:
            raise OSError("the process that forks is away")
        self.forced.append(json.loads(message)["force"])
        command = [sys.executable, "-c", READY, str(descriptors[0])]
        return subprocess.Popen(command, pass_fds=descriptors)


def _workers(
    forks: Forks,
    hosted: Hosted,
    supervisor: Supervisor,
    directory: Path,
    config_path: Path | None = None,
) -> Workers:
    figures = SharedFolder(directory / "figures")
    return Workers(
        2, cast(ForkServer, forks), config_path, hosted,
        supervisor=supervisor, figures=figures, force=True,
    )  # fmt: skip


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
    tmp_path: Path, hosted: Hosted, crashes: tuple[Supervisor, list[str]]
) -> None:
    supervisor, crashed = crashes
    forks = Forks()
    before = len(_descriptors())
    async with _workers(forks, hosted, supervisor, tmp_path) as workers:
        open_pipes = len(_descriptors())
        stored = workers.keep(Hangups(asyncio.Event(), asyncio.Event()), Ending(0.0, margin=0.0))
        forks.away = True
        dead = workers._workers[0].process
        dead.send_signal(signal.SIGKILL)
        await _more_crashes(crashed, 1)
        with contextlib.ExitStack() as stack:
            # A descriptor that was closed is taken by the next that is opened, and is not to be
            # closed a second time.
            others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
            for other in others:
                stack.callback(os.close, other)
            await _more_crashes(crashed, 3)
            assert len(_descriptors()) == open_pipes + len(others)
        forks.away = False
        async with asyncio.timeout(PATIENCE):
            while workers._workers[0].process is dead:
                await asyncio.sleep(0.01)
        assert len(_descriptors()) == open_pipes
        # The force is for the file as it was at the start.
        assert forks.forced == [True, True, False]
        await tasks.end(stored)
    assert len(_descriptors()) == before


async def test_a_gateway_that_cannot_start_its_processes_leaves_nothing_open(
    tmp_path: Path, hosted: Hosted, crashes: tuple[Supervisor, list[str]]
) -> None:
    forks = Forks()
    forks.away = True
    before = _descriptors()
    with pytest.raises(StartFailed, match="a process cannot be started: "):
        async with _workers(forks, hosted, crashes[0], tmp_path):
            pass
    assert _descriptors() == before


async def test_the_first_process_waits_as_long_as_the_longest_drain_of_the_others(
    tmp_path: Path, hosted: Hosted, crashes: tuple[Supervisor, list[str]]
) -> None:
    supervisor, crashed = crashes
    file, ending = tmp_path / "gateway.yaml", Ending(20.0, margin=0.0)
    signals = Hangups(asyncio.Event(), asyncio.Event())
    async with _workers(Forks(), hosted, supervisor, tmp_path, file) as workers:
        work = workers.keep(signals, ending)
        file.write_text("server: {drain_timeout: 90s}")
        signals.hangup.set()
        async with asyncio.timeout(PATIENCE):
            while ending.drain_timeout != 90.0:
                await asyncio.sleep(0.005)
        # One of the others may refuse the file, and keep the longer time.
        file.write_text("server: {drain_timeout: 5s, host: 127.0.0.9}")
        signals.hangup.set()
        async with asyncio.timeout(PATIENCE):
            while signals.hangup.is_set():
                await asyncio.sleep(0.005)
        await tasks.end(work)
    assert ending.drain_timeout == 90.0
    assert not crashed
