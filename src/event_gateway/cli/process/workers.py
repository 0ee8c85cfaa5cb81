"""Several processes of one gateway on one socket: started, kept up, and ended together."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import structlog

from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.embedded.process import killed_with_parent
from event_gateway.tasks import Supervisor

log = structlog.get_logger(__name__)

LOOK = 0.2  # seconds between looks whether all live
STEADY = 60.0  # seconds after which one that was started again counts as healthy
MAX_DELAY = 10.0  # seconds between starts of one that does not stay alive


class _Worker:
    """One process, and the pipe on which it says that it answers."""

    def __init__(self, config_path: Path | None, hosted: Hosted, force: bool) -> None:
        self._ready, says = os.pipe()
        os.set_blocking(self._ready, False)
        descriptor = hosted.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "event_gateway.cli.process.worker"],
            stdin=subprocess.PIPE,
            pass_fds=(descriptor, says),
            # The terminal's Ctrl-C is for the first process, which tells the others.
            start_new_session=True,
            # It keeps the port: one that drains without servers would keep it from who comes next.
            preexec_fn=killed_with_parent if sys.platform == "linux" else None,
        )
        os.close(says)
        self.started = time.monotonic()
        given = {
            "force": force,
            "config": None if config_path is None else str(config_path),
            "parent": os.getpid(),
            "listener": descriptor,
            "ready": says,
            "nats_url": hosted.nats_url,
            "redis_url": hosted.redis_url,
            "admin_key": hosted.admin_key,
            "sealing_key": None if hosted.sealing_key is None else str(hosted.sealing_key),
        }
        assert self.process.stdin is not None
        # Not on the command line, nor in the environment: others on the machine see those.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(given).encode())
            self.process.stdin.close()

    def answers(self) -> bool:
        """Whether it has said so since the last look."""
        try:
            return bool(os.read(self._ready, 1))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Listens to it no more."""
        os.close(self._ready)


class Workers:
    """``count`` processes, from when all answer until they have drained. Raises StartFailed."""

    def __init__(
        self,
        count: int,
        config_path: Path | None,
        hosted: Hosted,
        supervisor: Supervisor,
        force: bool = False,
    ) -> None:
        self._count = count
        self._config_path = config_path
        self._hosted = hosted
        self._supervisor = supervisor
        self._force = force
        self._workers: list[_Worker] = []

    async def __aenter__(self) -> "Workers":
        try:
            # The first alone: it makes the streams that the others find.
            await self._start(1)
            await self._start(self._count - 1)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    def keep(self, hangup: asyncio.Event) -> list[asyncio.Task[None]]:
        """Starts the tasks that restart a process which ends by itself, and pass SIGHUP on."""
        start = self._supervisor.start
        return [
            start("reload", functools.partial(self._pass_on, hangup)),
            *(
                start("workers", functools.partial(self._keep, number), about=str(number))
                for number in range(self._count)
            ),
        ]

    async def _pass_on(self, hangup: asyncio.Event) -> None:
        while True:
            await hangup.wait()
            hangup.clear()
            self._tell(signal.SIGHUP)

    async def _start(self, count: int) -> None:
        new = [_Worker(self._config_path, self._hosted, self._force) for _ in range(count)]
        self._workers += new
        waiting = set(new)
        while waiting:
            for worker in list(waiting):
                if worker.answers():
                    waiting.discard(worker)
                elif worker.process.poll() is not None:
                    raise StartFailed("")  # it has said why
            await asyncio.sleep(0.02)

    async def _keep(self, place: int) -> None:
        delay = 0.0
        while True:
            await asyncio.sleep(LOOK)
            worker = self._workers[place]
            status = worker.process.poll()
            if status is None:
                if time.monotonic() - worker.started > STEADY:
                    delay = 0.0
                continue
            log.warning("a process has ended by itself, another one is started",
                        pid=worker.process.pid, status=status, seconds=delay)  # fmt: skip
            await asyncio.sleep(delay)
            delay = min(max(2 * delay, 0.25), MAX_DELAY)
            worker.close()
            self._workers[place] = _Worker(self._config_path, self._hosted, self._force)

    def _tell(self, what: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(what)

    async def _stop(self) -> None:
        """Each drains within its own time, and ends by itself."""
        self._tell(signal.SIGTERM)
        for worker in self._workers:
            while worker.process.poll() is None:
                await asyncio.sleep(0.02)
            worker.close()
