"""The console and the gateway end and come back, in any order."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from support.console import gateway_with_console, tab
from support.patience import PATIENCE
from support.program import LOOPBACK, children

pytestmark = pytest.mark.browser


def _console_pid(gateway: int) -> int | None:
    for pid in children(gateway):
        if b"event_gateway.console" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


async def test_a_page_left_open_recovers_from_a_restart(tmp_path: Path, chromium: Browser) -> None:
    async with (
        gateway_with_console(tmp_path) as console,
        tab(chromium, console.url) as shown,
    ):
        shown.expected = ("Failed to load resource", "htmx:")
        await console.client.webhook(id="crm", url="https://example.com/", events=["user.>"])
        await shown.sign_in(console.key)
        await shown.open("/webhooks/crm")
        await shown.until("Circuit breaker")
        port = int(console.url.rpartition(":")[2])
        console.program.configure(LOOPBACK | {"console": {"port": port}})
        await console.program.stop()
        banner = shown.page.get_by_text("The gateway does not answer.")
        await expect(banner).to_be_visible()
        await console.program.start()
        # The session is still there, and the figures are current again.
        await expect(banner).to_be_hidden()
        await shown.page.get_by_role("link", name="Webhooks", exact=True).first.click()
        await shown.until("1 of 1 webhooks")
        shown.check_faultless()


async def test_a_console_that_is_killed_comes_back_alone(tmp_path: Path) -> None:
    async with (
        gateway_with_console(tmp_path) as console,
        httpx.AsyncClient(timeout=PATIENCE) as http,
    ):
        gateway = console.program.pid
        async with asyncio.timeout(PATIENCE):
            while (first := _console_pid(gateway)) is None:
                await asyncio.sleep(0.05)
            os.kill(first, signal.SIGKILL)
            # A client that comes meanwhile waits.
            answer = await http.get(f"{console.url}/sign-in", timeout=PATIENCE)
            assert answer.status_code == 200
            assert _console_pid(gateway) not in (None, first)
        assert console.program.runs
        assert (await console.client.http.get("/v1/overview")).status_code == 200
        second = _console_pid(gateway)
        # It ends with the gateway, also with one that is killed.
        console.program.kill()
        async with asyncio.timeout(PATIENCE):
            while Path(f"/proc/{second}/cmdline").exists():
                await asyncio.sleep(0.05)
