"""Streams in a real browser: what they hold, who reads them, and what comes in now."""

import socket
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from support.client import connected, event
from support.console import gateway_and_console, gateway_with_console, tab

pytestmark = pytest.mark.browser


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


STREAMS = {"streams": {"users": {"subjects": ["user.*"]}}}


async def test_a_stream_is_followed_live(tmp_path: Path, chromium: Browser) -> None:
    async with (
        gateway_and_console(tmp_path, STREAMS) as console,
        tab(chromium, console.url) as shown,
    ):
        page, client = shown.page, console.client
        await client.send(event("user.made", {"name": "<b>first</b>"}, id="first"))
        await shown.sign_in(console.key)
        await shown.open("/")
        await page.locator("nav.nav").get_by_role("link", name="Streams").click()
        await shown.check_accessible()
        await page.get_by_label("Search").fill("nothing-has-this")
        await shown.until("No stream fits this search.")
        await page.get_by_label("Search").fill("USER.")
        await page.get_by_role("link", name="users", exact=True).click()
        await shown.reloaded_until("user.made")
        await shown.until("Nobody is subscribed now.")
        await page.get_by_role("link", name="Follow it live").click()
        await shown.until("Connected.")
        rows = page.locator("[data-tail-list] > li")
        await client.send(event("user.made", {"name": "<b>second</b>"}, subject="second"))
        await expect(rows).to_have_count(1)
        await rows.first.locator("summary").click()
        await shown.until('"name": "<b>second</b>"')
        await shown.check_accessible()

        # Paused, it shows nothing new, and loses nothing.
        await page.get_by_role("button", name="Pause").click()
        await client.send([event("user.made", subject=f"held-{number}") for number in range(3)])
        await shown.until("3 not shown yet")
        await expect(rows).to_have_count(1)
        await page.get_by_role("button", name="Resume").click()
        await expect(rows).to_have_count(4)
        await shown.until("held-2")
        await page.get_by_role("button", name="Clear").click()
        await expect(rows).to_have_count(0)

        # The filter stands in the URL, and the gateway applies it.
        await page.get_by_label("Filter").fill("event.type == 'user.left'")
        await page.get_by_role("button", name="Apply").click()
        assert "expression=" in page.url
        await shown.until("Connected.")
        await client.send([event("user.made"), event("user.left", subject="wanted")])
        await shown.until("wanted")
        await expect(rows).to_have_count(1)
        await page.get_by_label("Filter").fill("event.type ==")
        await page.get_by_role("button", name="Apply").click()
        await shown.until("The gateway refuses this tail")
        shown.check_faultless()


async def test_subscribers_are_shown_and_disconnected(tmp_path: Path, chromium: Browser) -> None:
    async with (
        gateway_and_console(tmp_path, STREAMS) as console,
        tab(chromium, console.url) as shown,
        console.client.websocket() as live,
    ):
        await live.request(action="subscribe", stream="users", durable="reports")
        await shown.sign_in(console.key)
        await shown.open("/streams/users")
        await shown.until("reports")
        await shown.check_accessible()
        await shown.open("/streams")
        row = shown.page.get_by_role("row", name="users")
        await expect(row.get_by_role("cell")).to_contain_text(
            ["user.*", "0", "0 B", "no limit", "0/s", "1", "0", "Follow"]
        )
        await shown.open("/streams/users")
        await shown.page.get_by_role("button", name="Disconnect").click()
        await shown.page.locator("dialog[open]").get_by_role("button", name="Disconnect").click()
        await shown.until("The subscription has ended.")
        await shown.until("Nobody is subscribed now.")
        shown.check_faultless()


async def test_a_tail_goes_on_after_the_gateway_was_restarted(
    tmp_path: Path, chromium: Browser
) -> None:
    async with (
        gateway_with_console(tmp_path, STREAMS | {"console": {"port": _free_port()}}) as console,
        tab(chromium, console.url) as shown,
    ):
        shown.expected = ("ERR_", "502", "503", "Failed to load")
        await shown.sign_in(console.key)
        await shown.open("/streams/users/tail?from=first")
        await console.client.send(event("user.made", subject="before"))
        await shown.until("before")
        program = console.program
        program.kill()
        at = await program.start()
        assert at["console"] == console.url
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(event("user.made", subject="after"))
            await shown.until("after")
        # Nothing came twice.
        await expect(shown.page.locator("[data-tail-list] > li")).to_have_count(2)
