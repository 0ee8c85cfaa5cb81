"""Background tasks: a supervisor for those that run for ever, and two functions for the others.

A task that runs for ever (it reads a stream, or looks at something every few seconds) is started
through the :class:`Supervisor`, which restarts it when it crashes. A task that ends by itself (one
request, one connection) is started by :func:`spawn`, which logs what it raises.
"""

import asyncio
import math
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

CANCEL_AGAIN = 1.0  # seconds until a task that has not ended is cancelled again
FIRST_DELAY = 0.1  # seconds from the first crash to the restart
# Seconds between two restarts, at most: less than half of the time after which JetStream redelivers
# an event, so that events in progress are not redelivered when the task that prevents it crashes.
MAX_DELAY = 4.0
STEADY = 60.0  # seconds without a crash after which a task counts as healthy

T = TypeVar("T")


async def wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:
    """``asyncio.wait_for`` as Python 3.12 has it: it never forgets a cancellation.

    That of 3.11 returns the result if it comes together with a cancellation (gh-86296). The clients
    of NATS and Redis call it, so a cancelled task, or a block with a time limit, continued
    as if it had not been cancelled, and a task that awaited its end did so for ever.
    """
    if timeout is not None and timeout <= 0:
        future = asyncio.ensure_future(awaitable)
        if future.done():
            return future.result()
        future.cancel()
        await asyncio.wait([future])
        try:
            return future.result()
        except asyncio.CancelledError:
            raise TimeoutError from None
    async with asyncio.timeout(timeout):
        return await awaitable


if sys.version_info < (3, 12):
    asyncio.wait_for = wait_for  # type: ignore[assignment]
Work = Callable[[], Coroutine[Any, Any, None]]


class Policy(Enum):
    """What the supervisor does when a task crashes."""

    RESTART = "restart"  # after a delay that doubles with each crash
    END_PROCESS = "end process"  # the manager of the process starts it again


class TaskCrashed(Exception):
    """The process must end, as a task crashed whose policy says so; the text names the task."""


@dataclass(slots=True)
class _Supervised:
    """One task. ``about`` tells it from others of the same name: a webhook, a stream, a server."""

    name: str
    about: str
    policy: Policy
    crashes: int = 0  # since it was last healthy
    healthy_at: float = 0.0  # on the monotonic clock, if it does not crash before
    may_return: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.about})" if self.about else self.name


def _exit(crash: TaskCrashed) -> None:
    os._exit(1)


class Supervisor:
    """Runs the perpetual tasks of one process.

    A crash is an exception that the task raises, a return, or a cancellation that did not come from
    the code that ends the task. Each crash is logged with its traceback and passed to ``on_crash``
    with the task's name. If the task's policy is to end the process, ``on_fatal`` gets the reason,
    and the task is not started again.
    """

    def __init__(
        self,
        *,
        on_crash: Callable[[str], None] | None = None,
        on_fatal: Callable[[TaskCrashed], None] = _exit,
    ) -> None:
        self._on_crash = on_crash
        self._on_fatal = on_fatal
        self._running: dict[asyncio.Task[None], _Supervised] = {}
        self.fatal: TaskCrashed | None = None  # why the process ends

    def start(
        self, name: str, work: Work, *, about: str = "", policy: Policy = Policy.RESTART
    ) -> asyncio.Task[None]:
        """Starts a task and keeps it running; ``work()`` is called for each run.

        Returns the task, to be ended with :func:`end`; :meth:`stop` ends those that are left.
        """
        supervised = _Supervised(name, about, policy)
        task = asyncio.create_task(self._keep_running(supervised, work), name=name)
        self._running[task] = supervised
        task.add_done_callback(_log_failure)
        task.add_done_callback(lambda ended: self._running.pop(ended, None))
        return task

    def let_return(self, task: asyncio.Task[None]) -> None:
        """From now on the task may return, as its owner has asked it to."""
        if task in self._running:
            self._running[task].may_return = True

    @property
    def policies(self) -> dict[str, Policy]:
        """The tasks that run now, by name, and what is done when one of them crashes."""
        return {supervised.name: supervised.policy for supervised in self._running.values()}

    @property
    def degraded(self) -> list[str]:
        """The tasks that crashed and have not run for :data:`STEADY` seconds since."""
        now = time.monotonic()
        return [str(task) for task in self._running.values() if task.healthy_at > now]

    async def stop(self) -> None:
        """Ends all tasks that still run."""
        await end(list(self._running))

    async def _keep_running(self, supervised: _Supervised, work: Work) -> None:
        while True:
            error = await _run(work)
            if supervised.may_return:
                if error is not None:
                    raise error
                return
            error = error or RuntimeError("the task returned, though it has to run for ever")
            now = time.monotonic()
            if now >= supervised.healthy_at:
                supervised.crashes = 0
            supervised.crashes += 1
            delay = min(FIRST_DELAY * 2.0 ** min(supervised.crashes - 1, 16), MAX_DELAY)
            delay *= random.uniform(0.5, 1.0)  # noqa: S311
            supervised.healthy_at = now + delay + STEADY
            about = {"about": supervised.about} if supervised.about else {}
            if self._on_crash is not None:
                self._on_crash(supervised.name)
            if supervised.policy is Policy.END_PROCESS:
                supervised.healthy_at = math.inf
                log.error("a background task crashed, the process ends", task=supervised.name,
                          **about, exc_info=error)  # fmt: skip
                self.fatal = TaskCrashed(f"the task {supervised} crashed: {error!r}")
                self._on_fatal(self.fatal)
                await asyncio.Event().wait()  # until the process has ended
            log.error("a background task crashed, it is restarted", task=supervised.name,
                      **about, seconds=round(delay, 3), exc_info=error)  # fmt: skip
            await asyncio.sleep(delay)


class TaskGroup:
    """Tasks of a supervisor that are ended together."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Work) -> None:
        """Starts a task as :meth:`Supervisor.start` does."""
        self._tasks.append(self._supervisor.start(name, work))

    async def stop(self) -> None:
        """Ends the tasks."""
        await end(self._tasks)


async def _run(work: Work) -> BaseException | None:
    """Runs a task's work until it crashes; gives the reason, None where it returned.

    Raises what the work raises once its owner ends it.
    """
    own = asyncio.current_task()
    assert own is not None
    try:
        await work()
    except (Exception, asyncio.CancelledError) as error:
        if own.cancelling():
            raise
        return error
    if own.cancelling():
        raise asyncio.CancelledError
    return None


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Starts a task that ends by itself; an exception that it raises is logged."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a background task failed", task=task.get_name(), exc_info=error)


async def end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancels tasks and returns once they have ended; logs what they raise.

    Cancels again every second, because up to Python 3.11 ``asyncio.wait_for``, which the clients
    of NATS and Redis use, forgets a cancellation that arrives together with its result
    (bpo-37658).
    """
    left = {task for task in tasks if task is not None and not task.done()}
    for task in left:
        task.remove_done_callback(_log_failure)  # of spawn: once is enough
        task.add_done_callback(_log_failure)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)
