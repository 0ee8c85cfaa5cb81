"""Keeps one embedded server working: restarts it when it has ended, or cannot write any more."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from event_gateway.beats import at_beat
from event_gateway.embedded.disk import WRITABLE, Disk
from event_gateway.embedded.end_watch import EndWatch
from event_gateway.embedded.process import EmbeddedServerError, ServerProcess

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two looks at the disk and at the log of a server that runs
# The same while the server does not run, waits for room on the disk, or is on a system that does
# not tell when it ends.
OFTEN = 0.25
STEADY = 60.0  # seconds after which a restarted server counts as healthy
FIRST_DELAY = 0.25  # seconds from the second failed start to the third
STARTED = 1.0  # seconds after which a start has succeeded
REPORTED = 3  # ends in a row that are logged
MAX_DELAY = 10.0  # seconds between two starts of a server that does not stay alive
STOP_TIMEOUT = 10.0  # seconds in which a server ends, then it is killed
ROOM = 2 * WRITABLE  # bytes that a disk must have for a server that could not write
# What nats-server logs when it cannot write. It stores nothing more in that stream until it is
# started again, even if the disk has room again.
WRITE_ERRORS = (b"ritical write error", b"failed to store a msg on stream")


class Keeper:
    """Watches one server of a data directory; ``command`` gives the command that starts it.

    ``restart_after_full``: the server must be started again if the disk was full.
    """

    def __init__(
        self,
        process: ServerProcess,
        command: Callable[[], list[str]],
        disk: Disk,
        *,
        restart_after_full: bool,
    ) -> None:
        self._process = process
        self._command = command
        self._disk = disk
        self._restart_after_full = restart_after_full
        self._unwritable = False  # the server cannot write any more
        self._full = False  # the disk, at the last look
        self._delay = 0.0
        self._next_start = 0.0  # on the monotonic clock
        self._reported = 0  # ends in a row of a server that does not stay alive
        self._watch: EndWatch | None = None
        self._watched = 0  # the process id of the latest watch
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Watches for ever."""
        try:
            await self._run()
        finally:
            self._unwatch()

    async def _run(self) -> None:
        while True:
            steady = self._is_watched() and not self._full and not self._unwritable
            at_beat(INTERVAL if steady else OFTEN, self._woken.set)
            await self._woken.wait()  # or until the server has ended
            self._woken.clear()
            process = self._process
            with contextlib.suppress(OSError):  # the disk is full
                process.limit_log()
            self._look_at_disk()
            now = time.monotonic()
            if not process.running:
                self._restart(now)
            elif self._unwritable:
                if not self._full and now >= self._next_start:
                    await self._restart_unwritable(now)
            elif now - process.started > STEADY:
                self._delay = 0.0

    def _is_watched(self) -> bool:
        """Whether the end of the server wakes this task."""
        pid = self._process.pid
        if pid != self._watched:
            self._unwatch()
            self._watched = pid
            if pid:
                with contextlib.suppress(OSError):
                    self._watch = EndWatch(pid, self._server_ended)
        return self._watch is not None

    def _server_ended(self) -> None:
        self._watch = None
        self._woken.set()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._watch, self._watched = None, 0

    def _look_at_disk(self) -> None:
        free = self._disk.free
        full = free < ROOM
        if self._full and not full:
            self._delay = self._next_start = 0.0
        self._full = full
        if self._unwritable or not self._restart_after_full:
            return
        if free < WRITABLE:
            self._unwritable = True
            log.error("the disk is full, the gateway restarts an embedded server once it has room",
                      server=self._process.name, free=free)  # fmt: skip
        elif _write_error_in(self._process.new_log()):
            self._unwritable = True
            log.error("an embedded server cannot write, the gateway restarts it once the disk has "
                      "room", server=self._process.name, free=free,
                      server_output=self._process.last_log_line())  # fmt: skip

    async def _restart_unwritable(self, now: float) -> None:
        await self._process.stop(STOP_TIMEOUT)
        self._unwritable = False
        self._delay_next(now)
        log.info("the gateway restarts an embedded server, so that it can write again",
                 server=self._process.name, free=self._disk.free)  # fmt: skip
        self._start()

    def _restart(self, now: float) -> None:
        """Restarts a server that has ended by itself: at once, then after longer and longer waits,
        and at once again when a full disk has room."""
        if now < self._next_start:
            return
        if now - self._process.started > STARTED and not self._full:
            self._reported = 0
        if self._reported < REPORTED:
            self._reported += 1
            log.warning("an embedded server has ended by itself, the gateway restarts it",
                        server=self._process.name, server_output=self._process.last_log_line(),
                        free=self._disk.free)  # fmt: skip
        self._delay_next(now)
        self._unwritable = False
        self._start()

    def _delay_next(self, now: float) -> None:
        self._delay = min(max(2 * self._delay, FIRST_DELAY), MAX_DELAY)
        self._next_start = now + self._delay

    def _start(self) -> None:
        try:
            self._process.start(self._command())
        except (OSError, EmbeddedServerError) as error:
            log.error("an embedded server cannot be started", server=self._process.name,
                      error=str(error))  # fmt: skip


def _write_error_in(text: bytes) -> bool:
    return any(mark in text for mark in WRITE_ERRORS)
