"""What proves a compliance stream, in a real browser: chain, export, a hold, a redaction."""

import asyncio
import contextlib
import json
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from event_gateway.console.pages.streams.compliance import MAX_OF_A_USER
from event_gateway.console.settings import ConsoleSettings
from support.client import connected, event, slow_reader
from support.console import gateway_and_console, tab
from support.patience import PATIENCE
from support.program import Program
from support.relay import Relay
from support.served_console import served_console

pytestmark = pytest.mark.browser
CONFIG = {
    "streams": {
        "records": {"subjects": ["audit.>"], "compliance": True, "sealed_by": "data.user"},
        "users": {"subjects": ["user.*"]},
    },
    "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
}


async def test_a_compliance_stream_is_proved_held_and_redacted(
    tmp_path: Path, chromium: Browser
) -> None:
    async with (
        gateway_and_console(tmp_path, CONFIG) as console,
        tab(chromium, console.url) as shown,
    ):
        page, client = shown.page, console.client
        shown.expected = ("409",)
        await client.send([event("audit.login", {"user": "u-4711"}) for _ in range(3)])
        await shown.sign_in(console.key)
        await shown.open("/streams/records")
        await page.get_by_role("link", name="What proves it").click()
        await shown.reloaded_until("Signed text")
        await shown.until("not append-only")  # as with every embedded NATS
        await shown.check_accessible()

        async with page.expect_download() as download:
            await page.get_by_role("link", name="Export with its chain").click()
        text = (await (await download.value).path()).read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        kinds = [line["type"] for line in lines]
        assert (kinds[0], kinds[-1], kinds.count("message")) == ("begin", "end", 3)

        await page.get_by_role("button", name="Place a hold").click()
        await page.get_by_label("Reason").fill("case 4711")
        await page.get_by_role("button", name="Place the hold").click()
        await shown.until("The stream is held: nothing leaves it.")
        await page.get_by_role("button", name="Release", exact=True).click()
        await shown.check_accessible()
        await page.get_by_role("button", name="Release the hold").click()
        await shown.until("The hold is released.")

        for person, said in (("u-1", "Nothing is redacted"), ("u-4711", "cannot be read any more")):
            await page.get_by_role("button", name="Redact a person").click()
            await page.get_by_label("The person").fill(person)
            await page.get_by_role("button", name="Erase the key").click()
            await page.locator("main .message").get_by_text(said).wait_for()

        # Another stream has no such page, and a reader gets no buttons.
        await shown.open("/streams/users/compliance")
        await shown.until("does not store records for compliance")
        made = await client.http.post("/v1/keys", json={"name": "r", "scopes": ["streams:read"]})
        async with tab(chromium, console.url) as other:
            await other.sign_in(made.json()["key"])
            await other.open("/streams/records/compliance")
            await other.until("Nothing holds this stream.")
            for label in ("Place a hold", "Redact a person"):
                assert await other.page.get_by_role("button", name=label).count() == 0
            other.check_faultless()
        shown.check_faultless()


async def test_nobody_takes_all_connections_to_the_gateway_by_exports(tmp_path: Path) -> None:
    path = "/streams/records/compliance/export"
    async with gateway_and_console(tmp_path, CONFIG) as console:
        large = event("audit.login", {"user": "u-4711", "text": "x" * 10_000})
        for batch in range(6):  # more than Linux buffers for the console at most
            await console.client.send([large | {"id": f"{batch}-{number}"} for number in range(90)])
        async with (
            httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http,
            slow_reader(console.url) as slow,
        ):
            await http.post("/sign-in", data={"key": console.key}, headers={"Origin": console.url})
            slow.cookies = http.cookies
            async with contextlib.AsyncExitStack() as exports:
                for _ in range(MAX_OF_A_USER):
                    begun = await exports.enter_async_context(slow.stream("GET", path))
                    assert begun.status_code == 200
                refused = await http.get(path)
                assert refused.status_code == 429
                assert "Try again when one has ended" in refused.text
            async with asyncio.timeout(PATIENCE):  # those that broke off make room
                while (await http.get(path)).status_code == 429:
                    await asyncio.sleep(0.05)


async def test_an_export_that_breaks_off_is_a_failed_download(
    tmp_path: Path, chromium: Browser
) -> None:
    program = Program(tmp_path, CONFIG)
    at = await program.start()
    relay = Relay(int(at["http"].rpartition(":")[2]))
    relay.delay = 0.02  # so that the export is under way when the gateway is killed
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            large = event("audit.login", {"user": "u-4711", "text": "x" * 10_000})
            for batch in range(6):
                many = [large | {"id": f"{batch}-{number}"} for number in range(90)]
                await client.send(many)
        async with (
            relay.running(),
            served_console(
                ConsoleSettings(
                    gateway_url=f"http://127.0.0.1:{relay.port}", directory=str(tmp_path / "c")
                )
            ) as url,
            tab(chromium, url) as shown,
        ):
            await shown.sign_in(at["key"])
            await shown.open("/streams/records/compliance")
            async with shown.page.expect_download() as begun:
                await shown.page.get_by_role("link", name="Export with its chain").click()
            download = await begun.value
            program.kill()
            assert await download.failure() is not None
            # The page stays, and the next attempt says why there is no file.
            await shown.page.get_by_role("link", name="Export with its chain").click()
            await shown.until("The gateway does not answer")
    finally:
        await program.stop()
