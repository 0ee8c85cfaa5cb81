"""Fixtures of the console's tests: a browser that all tests of a worker share, and a console.

They run in the event loop of the whole test run, in which the browser was started, and so do the
tests that use one of them.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from support.console import Console, Tab, browser, gateway_and_console, tab
from support.order import folder_of
from support.receiver import Receiver, receiving

Begin = Callable[[], Awaitable[Browser]]
IN_SHARED_LOOP = {"chromium", "receiver", "console", "shown"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the tests that use these fixtures run in their event loop."""
    for item in items:
        if folder_of(item) == "console" and IN_SHARED_LOOP & set(getattr(item, "fixturenames", ())):
            # Before the mark that each async test has.
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_browser() -> AsyncIterator[Begin]:
    """A function that returns the browser; it starts a new one if the former has ended."""
    async with contextlib.AsyncExitStack() as stack:
        started: list[Browser] = []

        async def begin() -> Browser:
            if not (started and started[-1].is_connected()):
                started.append(await stack.enter_async_context(browser()))
            return started[-1]

        yield begin


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(shared_browser: Begin) -> Browser:
    """The browser of this worker. Each test opens tabs of its own, which share nothing."""
    return await shared_browser()


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest_asyncio.fixture(loop_scope="session")
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """A gateway and its console, with the configuration that tests have as a rule."""
    async with gateway_and_console(tmp_path) as console:
        yield console


@pytest_asyncio.fixture(loop_scope="session")
async def shown(chromium: Browser, console: Console) -> AsyncIterator[Tab]:
    """A tab for ``console``, in which nobody has signed in."""
    async with tab(chromium, console.url) as shown:
        yield shown
