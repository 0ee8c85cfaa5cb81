"""Ends the tasks that a test leaves in the event loop, which all tests of its module use."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.patience import PATIENCE

TESTS = str(Path(__file__).parents[1])


@contextlib.contextmanager
def no_tasks_left(item: pytest.Item) -> Iterator[None]:
    """Surrounds the end of a test: its tasks would go on in the next one, and so would a test that
    ran out of its time. Those of a gateway are its own, which may serve the next test."""
    runner = getattr(item, "funcargs", {}).get("_module_scoped_runner")
    if runner is None:
        yield
        return
    loop = runner.get_loop()
    try:
        yield
    finally:
        left = [task for task in asyncio.all_tasks(loop) if _is_of_tests(task)]
        if left and not loop.is_closed():  # it is, after the last test of the module
            loop.run_until_complete(_end(left))


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    _, running = await asyncio.wait(tasks, timeout=PATIENCE)
    assert not running, f"tasks of a test do not end: {running}"


def _is_of_tests(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(TESTS)
