"""Tests that share something do not take each other with them."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from support.left_tasks import TESTS, no_tasks_left
from support.sharing import FAILED, Shared


class _Test:
    """What is looked at in a test."""

    def __init__(self, **funcargs: Any) -> None:
        self.stash = pytest.Stash()
        self.funcargs = funcargs


def _test(**funcargs: Any) -> pytest.Item:
    return cast(pytest.Item, _Test(**funcargs))


class _Servers:
    """Numbers in place of servers: those that run, and those that cannot be emptied."""

    def __init__(self) -> None:
        self.begun = 0
        self.running: dict[int, Path] = {}
        self.broken: set[int] = set()

    @contextlib.asynccontextmanager
    async def begin(self, directory: Path) -> AsyncIterator[int]:
        assert directory.is_dir()
        self.begun += 1
        number = self.begun
        self.running[number] = directory
        try:
            yield number
        finally:
            del self.running[number]

    async def empty(self, number: int) -> None:
        if number in self.broken:
            raise ConnectionError("no answer")


async def test_after_a_test_that_fails_the_next_one_gets_another_server() -> None:
    servers = _Servers()
    shared = Shared(servers.begin, servers.empty)
    for _ in range(2):
        async with shared.lent(_test()) as lent:
            assert lent == 1
    directory = servers.running[1]
    failing = _test()
    async with shared.lent(failing) as lent:
        assert lent == 1
        servers.broken.add(1)  # it is not asked: the test has failed already
        failing.stash[FAILED] = True
    assert not servers.running
    assert not directory.exists()
    lending = shared.lent(_test())
    assert await lending.__aenter__() == 2
    servers.broken.add(2)
    with pytest.raises(ConnectionError):
        await lending.__aexit__(None, None, None)
    async with shared.lent(_test()) as lent:
        assert (lent, list(servers.running)) == (3, [3])
    await shared.end()
    assert not servers.running


def test_a_module_that_shares_has_no_gateway_of_its_own() -> None:
    """Its mark would only keep its tests on one worker."""
    sources = {path.name: path.read_text() for path in Path(TESTS).glob("*/test_*.py")}
    mark = "\npytestmark = pytest.mark.shared\n"
    sharing = {name: source for name, source in sources.items() if mark in source}
    assert sharing
    own = re.compile(r"^(async )?def (gateway|servers)\(", re.MULTILINE)
    assert [name for name, source in sharing.items() if own.search(source)] == []


def test_a_task_that_a_test_leaves_ends_and_that_of_a_gateway_goes_on() -> None:
    async def test() -> None:
        left.append(asyncio.create_task(waiting()))
        left.append(asyncio.create_task(asyncio.sleep(3600)))  # code of others

    async def waiting() -> None:
        await asyncio.Event().wait()

    left: list[asyncio.Task[Any]] = []
    with asyncio.Runner() as runner:
        with no_tasks_left(_test(_module_scoped_runner=runner)):
            runner.run(test())
        assert [task.cancelled() for task in left] == [True, False]
        assert not left[1].done()


def test_tests_without_an_event_loop_have_no_tasks() -> None:
    with no_tasks_left(_test()):
        pass
