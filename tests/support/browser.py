"""Controls a headless Chromium over its DevTools protocol."""

import asyncio
import contextlib
import itertools
import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import websockets

from event_gateway.embedded.process import ended_with_parent
from support.patience import PATIENCE

# The first is Chromium without windows: the same engine takes a third less processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
# What the script of that name in Debian starts: the script would not pass on a signal.
_DEBIAN_SHELL = "/usr/lib/chromium/chromium-headless-shell"
CHROMIUM = next(filter(None, map(shutil.which, (_DEBIAN_SHELL, *BROWSERS))), None)
# Without a display, Chromium still makes a window for each tab, and in it the pages that would open
# under its address bar: nearly half of the processor time of a tab that opens three small pages. Of
# several such arguments the last one counts, so what Playwright switches off is here too.
_FEATURES = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints",
    "NetworkTimeServiceQuerying", "PreconnectToSearch",
)  # fmt: skip
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    f"--disable-features={','.join(_FEATURES)}",
)  # fmt: skip


class Page:
    """A page in the browser."""

    def __init__(
        self, connection: websockets.ClientConnection, session: str, ids: Iterator[int]
    ) -> None:
        """``ids``: of the calls over the connection."""
        self._connection = connection
        self._session = session
        self._ids = ids

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and returns its result."""
        return await _call(self._connection, next(self._ids), method, self._session, **params)

    async def value(self, expression: str) -> Any:
        """Evaluates an expression in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str, timeout: float = PATIENCE) -> None:
        """Returns once an expression is true in the page."""
        try:
            async with asyncio.timeout(timeout):
                while not await self.value(expression):
                    await asyncio.sleep(0.2)  # the text of a large page takes its layout
        except TimeoutError:
            raise AssertionError(await self.value("document.body.innerText")) from None


@contextlib.asynccontextmanager
async def page(directory: Path, url: str) -> AsyncIterator[Page]:
    """Opens a URL in a browser of its own."""
    async with tabs(directory) as open_tab:
        yield await open_tab(url)


@contextlib.asynccontextmanager
async def tabs(directory: Path) -> AsyncIterator[Callable[[str], Awaitable[Page]]]:
    """A browser of its own, as a function that opens a URL in a new tab. A test uses one tab after
    the other, as they share a connection."""
    assert CHROMIUM, "there is no Chromium"
    command = [
        CHROMIUM, "--headless=new", *ARGUMENTS,
        "--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={directory}",
    ]  # fmt: skip
    started = ended_with_parent(command, signal.SIGKILL)
    process = await asyncio.create_subprocess_exec(
        *started["args"], preexec_fn=started["preexec_fn"],
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = await asyncio.wait_for(_address(process), PATIENCE)
        async with websockets.connect(address, max_size=None) as connection:
            ids = itertools.count(1)

            async def open_tab(url: str) -> Page:
                target = await _call(connection, next(ids), "Target.createTarget", url=url)
                attached = await _call(
                    connection, next(ids), "Target.attachToTarget",
                    targetId=target["targetId"], flatten=True,
                )  # fmt: skip
                return Page(connection, attached["sessionId"], ids)

            yield open_tab
    finally:
        process.kill()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if line.startswith("DevTools listening on "):
            return line.split()[-1]
    raise AssertionError("the browser has ended")


async def _call(
    connection: websockets.ClientConnection,
    number: int,
    method: str,
    session: str | None = None,
    **params: Any,
) -> dict[str, Any]:
    request: dict[str, Any] = {"id": number, "method": method, "params": params}
    if session is not None:
        request["sessionId"] = session
    await connection.send(json.dumps(request))
    async with asyncio.timeout(PATIENCE):
        while (answer := json.loads(await connection.recv())).get("id") != number:
            pass
    assert "error" not in answer, answer
    return dict(answer["result"])
