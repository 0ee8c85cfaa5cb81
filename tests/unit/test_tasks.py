"""The supervisor of background tasks, and tasks that end by themselves."""

import asyncio
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from event_gateway import tasks
from event_gateway.tasks import Policy, Supervisor, TaskCrashed, TaskGroup, end, spawn
from support.patience import PATIENCE


class Work:
    """Raises the errors of its list, one in each run, then runs for ever."""

    def __init__(self, *errors: BaseException | None) -> None:
        self._errors = list(errors)
        self.runs = 0
        self.works = asyncio.Event()

    async def run(self) -> None:
        self.runs += 1
        if self._errors:
            error = self._errors.pop(0)
            if error is None:
                return
            raise error
        self.works.set()
        await asyncio.Event().wait()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The log entries of the module."""
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture])
    monkeypatch.setattr(tasks, "log", logger)
    return capture.entries


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(tasks, "CANCEL_AGAIN", 0.01)


@pytest.mark.parametrize("error", [ValueError("wrong"), None, asyncio.CancelledError()])
async def test_a_task_that_crashes_runs_again(error: BaseException | None, logs: list[Any]) -> None:
    crashes: list[str] = []
    supervisor = Supervisor(on_crash=crashes.append)
    work = Work(error, error)
    supervisor.start("sweep", work.run, about="here")
    async with asyncio.timeout(PATIENCE):
        await work.works.wait()
    assert work.runs == 3
    assert crashes == ["sweep", "sweep"]
    assert supervisor.degraded == ["sweep (here)"]
    assert supervisor.policies == {"sweep": Policy.RESTART}
    assert [(log["task"], log["about"]) for log in logs] == [("sweep", "here")] * 2
    assert all(isinstance(log["exc_info"], BaseException) for log in logs)
    await supervisor.stop()
    assert supervisor.policies == {}


async def test_a_task_is_healthy_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "STEADY", 0.05)
    degraded: list[str] = []
    supervisor = Supervisor(on_crash=lambda _: degraded.extend(supervisor.degraded))
    work = Work(ValueError("wrong"))
    supervisor.start("sweep", work.run)
    async with asyncio.timeout(PATIENCE):
        while work.runs < 2 or supervisor.degraded:
            await asyncio.sleep(0.01)
    assert degraded == ["sweep"]
    await supervisor.stop()


async def test_the_crash_of_a_required_task_ends_the_process() -> None:
    fatal: list[TaskCrashed] = []
    supervisor = Supervisor(on_fatal=fatal.append)
    work = Work(ValueError("wrong"))
    supervisor.start("writer", work.run, policy=Policy.END_PROCESS)
    async with asyncio.timeout(PATIENCE):
        while not fatal:
            await asyncio.sleep(0.001)
    assert str(fatal[0]) == "the task writer crashed: ValueError('wrong')"
    assert supervisor.fatal is fatal[0]
    assert work.runs == 1
    assert supervisor.degraded == ["writer"]
    await supervisor.stop()


async def test_a_task_may_return_once_its_owner_allows_it() -> None:
    crashes: list[str] = []
    supervisor = Supervisor(on_crash=crashes.append)
    stopping = asyncio.Event()

    async def work() -> None:
        await stopping.wait()

    task = supervisor.start("router", work)
    supervisor.let_return(task)
    stopping.set()
    async with asyncio.timeout(PATIENCE):
        await task
    assert not crashes


async def test_ending_a_task_is_no_crash_and_its_error_is_logged(logs: list[Any]) -> None:
    crashes: list[str] = []
    group = TaskGroup(Supervisor(on_crash=crashes.append))
    works = asyncio.Event()

    async def work() -> None:
        try:
            works.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("while it ends")

    group.start("sweep", work)
    await works.wait()
    await group.stop()
    await asyncio.sleep(0)
    assert not crashes
    assert [log["task"] for log in logs] == ["sweep"]


async def test_a_task_that_misses_a_cancellation_is_cancelled_again() -> None:
    missed = 0
    works = asyncio.Event()

    async def work() -> None:
        nonlocal missed
        while True:
            try:
                works.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                missed += 1
                if missed == 3:
                    raise

    task = Supervisor().start("stubborn", work)
    await works.wait()
    async with asyncio.timeout(PATIENCE):
        await end([task, None])
    assert missed == 3
    assert task.cancelled()


async def test_the_error_of_a_short_task_is_logged_once(logs: list[Any]) -> None:
    async def work() -> Any:
        raise ValueError("wrong")

    task = spawn(work(), name="look-up")
    await asyncio.wait([task])
    await end([task])
    await asyncio.sleep(0)
    assert [(log["task"], str(log["exc_info"])) for log in logs] == [("look-up", "wrong")]


async def test_wait_for_never_forgets_a_cancellation() -> None:
    """Also not one that comes together with the result. NATS' client calls asyncio's own."""
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(asyncio.wait_for(result, 60))
    await asyncio.sleep(0)
    result.set_result(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_wait_for_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0)
    assert await asyncio.wait_for(asyncio.sleep(0, "done"), None) == "done"
