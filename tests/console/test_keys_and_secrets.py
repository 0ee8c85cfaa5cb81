"""Keys and secrets in a real browser: shown once, rotated, revoked, and never shown again."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from support.console import Console, Tab, gateway_and_console, tab
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.browser


async def test_a_key_from_its_form_to_its_end(console: Console, shown: Tab) -> None:
    page = shown.page
    shown.expected = ("422",)
    url = str(console.client.http.base_url)

    async def opens(key: str) -> bool:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            answer = await http.get("/v1/streams", headers={"x-api-key": key})
        return answer.status_code == 200

    await shown.sign_in(console.key)
    await shown.open("/keys")
    await shown.check_accessible()
    await page.get_by_role("link", name="Create a key").first.click()
    await page.get_by_label("Name", exact=False).first.fill("reader")
    await page.get_by_role("button", name="Create the key").click()
    await shown.until("The key is not created")
    await page.get_by_label("streams:read").check()
    await page.get_by_label("Valid for").fill("1d")
    await page.get_by_label("Narrowed to event types").fill("user.* shop.>")
    await shown.check_accessible()
    await page.get_by_role("button", name="Create the key").click()
    key = await page.locator("#made-key").inner_text()
    await shown.check_accessible()
    assert await opens(key)
    await page.get_by_role("link", name="Back to the keys").click()
    row = page.get_by_role("row", name="reader")
    await expect(row).to_contain_text("shop.>")
    assert key not in await page.content()
    await page.get_by_label("Search").fill("nothing-has-this")
    await shown.until("No key fits this search.")
    await page.get_by_label("Search").fill("STREAMS:read")
    await expect(row).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(2)  # with that of the heads

    await row.get_by_role("button", name="Rotate").click()
    await shown.check_accessible()
    await page.locator("dialog[open]").get_by_role("button", name="Rotate the key").click()
    rotated = await page.locator("#made-key").inner_text()
    assert rotated != key
    assert await opens(rotated)
    await shown.open("/keys")
    await row.get_by_role("button", name="Revoke").click()
    await page.locator("dialog[open]").get_by_role("button", name="Revoke the key").click()
    await shown.until("The key reader is revoked.")
    assert not await opens(rotated)
    shown.check_faultless()


async def test_a_secret_is_set_rotated_and_deleted(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    page, client = shown.page, console.client
    shown.expected = ("422",)
    await client.webhook(
        id="siem", url=f"{receiver.url}/siem", events=["audit.>"],
        security={"auth_type": "bearer_token", "secret_name": "siem_token"},
    )  # fmt: skip
    await shown.sign_in(console.key)
    await shown.open("/secrets")
    await shown.check_accessible()
    await page.get_by_label("Name", exact=False).first.fill("siem_token")
    await page.get_by_label("Value", exact=False).first.fill("first-value-of-it")
    await page.get_by_role("button", name="Set the secret").click()
    await shown.until("The secret siem_token is set.")
    row = page.get_by_role("row", name="siem_token")
    await expect(row).to_contain_text("the sealed store")
    await expect(row.get_by_role("link", name="siem")).to_be_visible()
    assert "first-value-of-it" not in await page.content()
    await page.get_by_label("Search").fill("nothing-has-this")
    await shown.until("No secret fits this search.")
    await page.get_by_label("Search").fill("siem")
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Rotate").click()
    await shown.check_accessible()
    dialog = page.locator("dialog[open]")
    await dialog.get_by_label("New value").fill("second-value-of-it")
    await dialog.get_by_role("button", name="Rotate the secret").click()
    await shown.until("The secret siem_token is rotated.")
    await expect(row).to_contain_text("in use")
    await client.delete_webhook("siem")
    await shown.open("/secrets")
    await row.get_by_role("button", name="Delete").click()
    await page.locator("dialog[open]").get_by_role("button", name="Delete the secret").click()
    await shown.until("The secret siem_token is deleted.")
    await page.get_by_label("Name", exact=False).first.fill("no such name!")
    await page.get_by_label("Value", exact=False).first.fill("v")
    await page.get_by_role("button", name="Set the secret").click()
    await shown.until("The secret is not set")
    shown.check_faultless()


async def test_a_narrowed_key_sees_no_page_of_the_installation(
    tmp_path: Path, chromium: Browser
) -> None:
    async with (
        gateway_and_console(tmp_path, {"streams": {"users": {"subjects": ["user.*"]}}}) as console,
        tab(chromium, console.url) as shown,
    ):
        shown.expected = ("403",)
        body = {"name": "partner", "scopes": ["admin"], "namespaces": ["acme"]}
        made = (await console.client.http.post("/v1/keys", json=body)).json()
        await shown.sign_in(made["key"])
        await shown.open("/")
        names = await shown.page.locator("nav.nav a").all_inner_texts()
        assert {"Streams", "Event types", "Alerts", "Secrets"} <= set(names)
        assert not {"API keys", "Audit log", "Rejected input"} & set(names)
        for path in ("/streams", "/streams/users", "/streams/users/tail", "/event-types",
                     "/alerts", "/secrets"):  # fmt: skip
            await shown.open(path)
            await shown.check_accessible()
        for path in ("/keys", "/audit-log", "/rejected"):
            await shown.open(path)
            await shown.until("Not allowed")
        shown.check_faultless()
