"""Streams in a real browser: what they hold, who reads them, and what comes in now."""

import asyncio
import socket
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from support.client import connected, event
from support.console import Console, Tab, gateway_and_console, gateway_with_console, tab
from support.patience import PATIENCE

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


async def test_a_stream_is_created_changed_and_deleted(
    chromium: Browser, console: Console, shown: Tab
) -> None:
    page, client = shown.page, console.client
    shown.expected = ("422",)  # of a form that is refused
    await shown.sign_in(console.key)
    await shown.open("/streams")
    await shown.until("There is no stream yet.")
    await page.get_by_role("link", name="Create a stream").first.click()
    await shown.check_accessible()
    # What the gateway refuses stands beside its field.
    await page.get_by_label("Name", exact=False).first.fill("made here")
    await page.get_by_label("Subjects").fill("user.*, user.>")
    await page.get_by_label("Most messages").fill("many")
    await page.get_by_role("button", name="Create the stream").click()
    await shown.until("The stream is not saved yet")
    await expect(page.locator("#max_messages-error")).not_to_be_empty()
    await page.get_by_label("Most messages").fill("100")
    await page.get_by_role("button", name="Create the stream").click()
    await expect(page.locator("#name-error")).not_to_be_empty()
    await page.get_by_label("Name", exact=False).first.fill("made")
    await page.get_by_label("Subjects").fill("user.*")
    await page.get_by_label("Most bytes").fill("1GiB")
    await page.get_by_role("button", name="Create the stream").click()
    await shown.until("made is there, with the events that the log has for it.")
    await client.send([event("user.made") for _ in range(5)])

    # A change that drops events is made when the user says so.
    await shown.reloaded_until("user.made")
    await page.get_by_role("link", name="Change", exact=True).click()
    await expect(page.get_by_label("Most bytes")).to_have_value("1GiB")
    await page.get_by_label("Most messages").fill("2")
    await page.get_by_label("Retention").fill("30d")
    async with asyncio.timeout(PATIENCE):  # all of them are in the stream
        while (await client.http.get("/v1/streams/made")).json()["state"]["messages"] < 5:
            await asyncio.sleep(0.05)
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("it would drop events: max_messages 2 is less than the 5 that it has")
    await shown.check_accessible()
    await page.get_by_label("Drop the oldest events").check()
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("made is changed.")
    stream = (await client.http.get("/v1/streams/made")).json()
    assert (stream["max_messages"], stream["retention"], stream["max_bytes"]) == (2, "30d", 2**30)

    # An empty field removes a limit; a change of somebody else meanwhile is not lost.
    await page.get_by_role("link", name="Change", exact=True).click()
    await page.get_by_label("Most messages").fill("")
    await client.http.patch("/v1/streams/made", json={"retention": "60d"})
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("The stream is not saved yet: Another caller has changed it.")
    await shown.open("/streams/made/edit")
    await page.get_by_label("Most messages").fill("")
    await page.get_by_label("It stores records for compliance").check()
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("made is changed.")
    stream = (await client.http.get("/v1/streams/made")).json()
    assert (stream["max_messages"], stream["retention"]) == (None, "60d")
    assert stream["compliance"]
    await expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    await page.get_by_role("link", name="Change", exact=True).click()
    await shown.until("no limit can be lowered")
    await page.get_by_label("Retention").fill("1d")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("retention cannot be lowered")

    await client.http.post("/v1/streams", json={"name": "other", "subjects": ["user.>"]})
    await shown.open("/streams/other")
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete the stream").click()
    await shown.until("other is deleted, with its events.")

    # A user that may only read sees no button that changes anything.
    made = await client.http.post("/v1/keys", json={"name": "r", "scopes": ["streams:read"]})
    async with tab(chromium, console.url) as other:
        await other.sign_in(made.json()["key"])
        for path in ("/streams", "/streams/made"):
            await other.open(path)
            await other.until("made")
            for label in ("Create a stream", "Change", "Delete"):
                await expect(other.page.get_by_text(label, exact=True)).to_have_count(0)
        other.check_faultless()
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
