"""Starts several processes of one gateway on one socket, restarts those that end or stand still,
and ends them."""

import asyncio
import contextlib
import functools
import itertools
import json
import os
import signal
import time
from pathlib import Path
from types import TracebackType

import structlog

from event_gateway.app.telemetry import log_settings
from event_gateway.cli.process import worker
from event_gateway.cli.process.configuration import read_config
from event_gateway.cli.process.forks import ForkServer
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.reload import Hangups
from event_gateway.cli.process.signals import Ending
from event_gateway.config.problems import ConfigError
from event_gateway.observability.logs import configure_logs
from event_gateway.observability.metrics import SharedFolder
from event_gateway.tasks import Policy, Supervisor

log = structlog.get_logger(__name__)

INTERVAL = 0.2  # seconds between checks whether all live
SHORT = 0.02  # the same, while they start or end
STEADY = 60.0  # seconds after which a restarted process counts as healthy
MAX_DELAY = 10.0  # seconds between two starts of a process that does not stay alive
SILENCE = 60.0  # seconds without a sign of life, after which an event loop counts as standing still
TRACEBACK = 1.0  # seconds for the traceback of such a process


class _Worker:
    """One process, and the pipe through which it says every few seconds that its event loop turns,
    and once that it is ready. Raises OSError where the process cannot be started."""

    def __init__(
        self,
        forks: ForkServer,
        config_path: Path | None,
        hosted: Hosted,
        *,
        force: bool,
        figures: Path,
        name: str,
    ) -> None:
        self.name = name
        settings = {
            "force": force,
            "metrics": str(figures),
            "name": name,
            "first": os.getpid(),
            "parent": forks.pid,
            "config": None if config_path is None else str(config_path),
            "nats_url": hosted.nats_url,
            "redis_url": hosted.redis_url,
            "admin_key": str(hosted.admin_key.path),
            "sealing_key": None if hosted.sealing_key is None else str(hosted.sealing_key),
            "data_dir": None if hosted.data_dir is None else str(hosted.data_dir),
            "store_limit": hosted.store_limit,
        }
        listeners = [hosted.listener, *filter(None, (hosted.admin_listener,))]
        self._pipe, theirs = os.pipe()
        try:
            os.set_blocking(self._pipe, False)
            self.process = forks.fork(
                json.dumps(settings).encode(),
                [theirs, *(listener.fileno() for listener in listeners)],
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        self.started = time.monotonic()
        self.is_ready = False
        self._silent = 0.0  # seconds of consecutive checks that have found no sign of life

    def stands_still(self, interval: float) -> bool:
        """Whether no sign of life has come for SILENCE seconds; after that the count begins again.

        The caller checks every ``interval`` seconds. The checks are counted, and not the time on a
        clock, as all processes may have been suspended together.
        """
        try:
            shown = os.read(self._pipe, 4096)
        except BlockingIOError:
            shown = b""
        self.is_ready = self.is_ready or worker.READY in shown
        self._silent = 0.0 if shown else self._silent + interval
        if self._silent <= SILENCE:
            return False
        self._silent = 0.0
        return True

    def close(self) -> None:
        """Closes the pipe."""
        os.close(self._pipe)


class Workers:
    """``count`` processes: all are ready at the start, and have drained at the end. ``figures``:
    where they leave their metrics for each other. Raises StartFailed."""

    def __init__(
        self,
        count: int,
        forks: ForkServer,
        config_path: Path | None,
        hosted: Hosted,
        *,
        supervisor: Supervisor,
        figures: SharedFolder,
        force: bool = False,
    ) -> None:
        self._count = count
        self._forks = forks
        self._config_path = config_path
        self._hosted = hosted
        self._supervisor = supervisor
        self._figures = figures
        self._force = force
        self._names = (f"worker-{number}" for number in itertools.count(1))
        self._workers: list[_Worker] = []

    async def __aenter__(self) -> "Workers":
        try:
            self._figures.create()
        except OSError as error:
            raise StartFailed(f"{self._figures.path} cannot be made: {error}") from error
        try:
            # The first one alone, as it creates the streams.
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

    def keep(self, signals: Hangups, ending: Ending) -> list[asyncio.Task[None]]:
        """Starts the tasks that restart a process which ends by itself, and pass signals on.
        ``ending`` is that of this process, which waits for the drains of all."""
        start, pass_on = self._supervisor.start, functools.partial(self._pass_on, ending)
        return [
            start("fork-server", self._watch_forks, policy=Policy.END_PROCESS),
            start("reload", functools.partial(pass_on, signals.hangup, signal.SIGHUP, 1)),
            start("reload-followed", functools.partial(pass_on, signals.told, signal.SIGUSR1)),
            *(
                start("workers", functools.partial(self._keep, index), about=str(index))
                for index in range(self._count)
            ),
        ]

    def _new_worker(self, *, force: bool = False) -> _Worker:
        return _Worker(
            self._forks, self._config_path, self._hosted,
            force=force, figures=self._figures.path, name=next(self._names),
        )  # fmt: skip

    async def _watch_forks(self) -> None:
        while self._forks.alive:
            await asyncio.sleep(INTERVAL)
        raise RuntimeError("the process that forks the others has ended, and they with it")

    async def _pass_on(
        self,
        ending: Ending,
        event: asyncio.Event,
        number: signal.Signals,
        most: int | None = None,
    ) -> None:
        """Passes a signal on to ``most`` processes (None: all). One is enough for SIGHUP: it logs
        what it does, once, and has the others follow if it has reloaded the file."""
        while True:
            await event.wait()
            event.clear()
            self._signal(number, most)
            # The worker processes log what is wrong with the file.
            with contextlib.suppress(ConfigError):
                config, _ = read_config(self._config_path)
                configure_logs(log_settings(config))
                # The longest of those that a process may have: some may refuse the file.
                ending.set_drain_timeout(max(ending.drain_timeout, config.server.drain_timeout))

    async def _start(self, count: int) -> None:
        first = len(self._workers)
        try:
            for _ in range(count):
                self._workers.append(self._new_worker(force=self._force))
        except OSError as error:
            raise StartFailed(f"a process cannot be started: {error}") from error
        waiting = set(self._workers[first:])
        while waiting:
            for each in list(waiting):
                stands_still = each.stands_still(SHORT)
                if each.is_ready:
                    waiting.discard(each)
                elif each.process.poll() is not None:
                    # The process has printed why.
                    raise StartFailed("", 2 if each.process.poll() == 2 else 1)
                elif stands_still:
                    await self._kill(each)
                    raise StartFailed("the event loop of a process stood still while it started")
            await asyncio.sleep(SHORT)

    async def _keep(self, index: int) -> None:
        delay = 0.0
        while True:
            await asyncio.sleep(INTERVAL)
            present = self._workers[index]
            status = present.process.poll()
            if status is None:
                if time.monotonic() - present.started > STEADY:
                    delay = 0.0
                if present.stands_still(INTERVAL):
                    await self._kill(present)
                continue
            log.warning("a process has ended by itself, the gateway starts another one",
                        pid=present.process.pid, status=status, seconds=delay)  # fmt: skip
            await asyncio.to_thread(self._figures.absorb, present.name)
            await asyncio.sleep(delay)
            delay = min(max(2 * delay, 0.25), MAX_DELAY)
            # The new one first: if it cannot be started, this is tried again with the same worker.
            # Without force, which is for the file as it was at the start.
            self._workers[index] = self._new_worker()
            present.close()

    async def _kill(self, still: _Worker) -> None:
        """Ends a process that does not go on by itself."""
        log.error("the event loop of a process stands still, the gateway ends it",
                  pid=still.process.pid, seconds=SILENCE)  # fmt: skip
        still.process.send_signal(signal.SIGUSR2)
        await asyncio.sleep(TRACEBACK)
        still.process.send_signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals, most: int | None = None) -> None:
        living = [each for each in self._workers if each.process.poll() is None]
        living.sort(key=lambda each: not each.is_ready)  # one that starts may not hear it
        for each in living[:most]:
            each.process.send_signal(number)

    async def _stop(self) -> None:
        """Tells all processes to drain, and waits for their end. One that stands still hears
        nothing: it is killed."""
        self._signal(signal.SIGTERM)
        left = self._workers
        while left := [each for each in left if each.process.poll() is None]:
            for each in left:
                if each.stands_still(SHORT):
                    await self._kill(each)
            await asyncio.sleep(SHORT)
        for each in self._workers:
            each.close()
        self._figures.remove()
