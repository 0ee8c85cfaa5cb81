"""The console of a running gateway in a headless Chromium, driven by Playwright.

The gateway and its console run in the test's process (:func:`gateway_and_console`), or as a program
where a test kills them or reads their configuration (:func:`gateway_with_console`).
"""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from event_gateway.console.settings import ConsoleSettings
from support.browser import ARGUMENTS, CHROMIUM
from support.client import Client, connected
from support.in_process import gateway_in_process
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.served_console import served_console

AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
Theme = Literal["light", "dark"]
expect.set_options(timeout=PATIENCE * 1000)
# htmx writes so of a request that a later one has replaced.
_REPLACED = ("htmx:sendAbort", "htmx:afterRequest")
# WCAG 2.1 AA, and what axe's makers recommend beside it.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A Chromium with its driver."""
    assert CHROMIUM, "there is no Chromium"
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield chromium
        finally:
            await chromium.close()


@dataclass(slots=True)
class Tab:
    """A page in the browser. ``faults``: what a page must never do: errors of scripts, what the
    content security policy has stopped, requests to other hosts."""

    url: str
    page: Page
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of faults that a test brings about itself

    async def open(self, path: str) -> None:
        """Goes to a page."""
        await self.page.goto(self.url + path)

    async def sign_in(self, key: str) -> None:
        """Signs in with a key, as the form of the sign-in page does, and shows no page."""
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE) as http:
            answer = await http.post("/sign-in", data={"key": key}, headers={"Origin": self.url})
            assert answer.headers["location"] == "/", answer.text
            await self.page.context.add_cookies(
                [{"name": name, "value": value, "url": self.url}
                 for name, value in http.cookies.items()]
            )  # fmt: skip

    async def become(self, screen: Any, theme: Theme) -> None:
        """Changes the size of the screen and the theme, without loading the page again."""
        await self.page.emulate_media(color_scheme=theme)
        await self.page.set_viewport_size(screen)

    async def until(self, text: str) -> None:
        """Returns once the page shows a text."""
        await self.page.get_by_text(text).first.wait_for()

    async def reloaded_until(self, text: str) -> None:
        """Loads the page again until it shows a text."""
        for _ in range(100):
            if text in await self.page.locator("main").inner_text():
                return
            await self.page.wait_for_timeout(200)
            await self.page.reload()
        raise AssertionError(await self.page.locator("main").inner_text())

    async def check_accessible(self) -> None:
        """Fails for what axe finds on the page, and for a page wider than the screen."""
        if not await self.page.evaluate("'axe' in window"):  # loaded before, as another screen
            await self.page.evaluate(f"() => {{ {AXE.read_text()} }}")
        found = await self.page.evaluate(
            f"async () => {{ const rules = {json.dumps(_RULES)};"
            "const result = await axe.run({runOnly: rules, resultTypes: ['violations']});"
            "return result.violations.map(v => ({id: v.id, help: v.help,"
            " nodes: v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary)})); }"
        )
        assert found == [], json.dumps(found, indent=1)
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(wider) <= 0, "the page is wider than the screen"

    def check_faultless(self) -> None:
        """Fails if the page did what it must not do."""
        parts = (*self.expected, *_REPLACED)
        left = [each for each in self.faults if not any(part in each for part in parts)]
        assert left == [], "\n".join(left)


@contextlib.asynccontextmanager
async def tab(
    chromium: Browser, url: str, *, screen: Any = DESKTOP, theme: Theme = "light"
) -> AsyncIterator[Tab]:
    """A tab in a context of its own, without cookies. ``theme``: light or dark."""
    context: BrowserContext = await chromium.new_context(
        viewport=screen, color_scheme=theme, locale="en-GB", timezone_id="Europe/Berlin",
        has_touch=screen is PHONE, bypass_csp=False, ignore_https_errors=True,
        reduced_motion="reduce",  # colours that still change have no contrast yet
    )  # fmt: skip
    context.set_default_timeout(PATIENCE * 1000)
    page = await context.new_page()
    opened = Tab(url, page)

    def on_message(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            opened.faults.append(f"{message.text} ({page.url})")

    def on_request(request: Any) -> None:
        if not request.url.startswith((url, "data:", "blob:")):
            opened.faults.append(f"a request to {request.url}")

    page.on("console", on_message)
    page.on("pageerror", lambda error: opened.faults.append(str(error)))
    page.on("request", on_request)
    try:
        yield opened
    finally:
        await context.close()


@dataclass(frozen=True, slots=True)
class Console:
    """A console and clients of its gateway. ``url``: the console's; ``redis``: that of Redis."""

    client: Client
    url: str
    key: str
    redis: str


@contextlib.asynccontextmanager
async def gateway_and_console(
    directory: Path, config: dict[str, Any] | None = None
) -> AsyncIterator[Console]:
    """A gateway in the test's process, and a console beside it."""
    async with gateway_in_process(directory, config) as gateway:
        settings = ConsoleSettings(
            gateway_url=gateway.http_url, directory=str(directory / "console")
        )
        async with (
            served_console(settings) as url,
            connected(gateway.http_url, gateway.nats_url, gateway.admin_key) as client,
        ):
            yield Console(client, url, gateway.admin_key, gateway.redis_url)


@dataclass(frozen=True, slots=True)
class ConsoleProgram:
    """A gateway with its console. ``url``: the console's."""

    program: Program
    client: Client
    url: str
    key: str


@contextlib.asynccontextmanager
async def gateway_with_console(
    directory: Path, config: dict[str, Any] | None = None
) -> AsyncIterator[ConsoleProgram]:
    """A real gateway as a program, with its console."""
    program = Program(directory, LOOPBACK | (config or {}), "--console")
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            yield ConsoleProgram(program, client, at["console"], at["key"])
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
