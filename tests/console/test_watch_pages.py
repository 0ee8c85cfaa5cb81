"""Rejected input, alerts and the audit log in a real browser."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from support.client import event
from support.console import Console, Tab, gateway_and_console, tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser
STRICT = {"type": "object", "required": ["name"]}


async def test_rejected_input_is_shown_and_taken_in_again(console: Console, shown: Tab) -> None:
    page, client = shown.page, console.client
    shown.expected = ("422",)
    await shown.sign_in(console.key)
    await shown.open("/rejected")
    await shown.until("Nothing was rejected.")
    body = {"type": "user.made", "schema": STRICT, "enforce": "reject"}
    assert (await client.http.post("/v1/event-types", json=body)).status_code == 201
    await client.nats.publish("user.made", b'{"namespace": "<script>alert(1)</script>"}')
    await shown.reloaded_until("Number 1")
    await shown.check_accessible()
    await page.get_by_label("Search").fill("nothing-has-this")
    await shown.until("No rejected input fits this search.")
    await page.get_by_label("Search").fill("ALERT(1)")
    await page.get_by_role("link", name="Number 1").click()
    await shown.until("<script>alert(1)</script>")
    await shown.check_accessible()
    await page.get_by_role("button", name="Take it in again").click()
    await shown.until("It is still no valid event")
    await client.http.patch("/v1/event-types/user.made", json={"enforce": "off"})
    await page.get_by_role("button", name="Take it in again").click()
    await shown.until("The input is taken in again")
    shown.check_faultless()


async def test_an_alert_is_silenced(tmp_path: Path, chromium: Browser, receiver: Receiver) -> None:
    alerts = {"alerts": {"webhook_down": {"failures": 2, "window": "5m", "for": "0s"}}}
    async with (
        gateway_and_console(tmp_path, alerts) as console,
        tab(chromium, console.url) as shown,
    ):
        page = shown.page
        shown.expected = ("422",)
        receiver.answers["/down"] = [500]
        await console.client.webhook(
            id="down", url=f"{receiver.url}/down", events=["user.*"],
            retry_policy={"max_attempts": 1},
        )  # fmt: skip
        await shown.sign_in(console.key)
        await shown.open("/alerts")
        await shown.until("No alert fires")
        for _ in range(4):
            await console.client.send(event("user.made"))
        row = page.get_by_role("row", name="webhook down down")
        await row.get_by_text("firing", exact=True).wait_for()
        await shown.check_accessible()
        await row.get_by_role("link", name="Silence webhook down down").click()
        await expect(page.get_by_label("Webhook")).to_have_value("down")
        await page.get_by_label("Why").fill("It is being <b>moved</b>")
        await shown.check_accessible()
        await page.get_by_role("button", name="Silence", exact=True).click()
        await shown.until("Alerts webhook down of down are silent.")
        await shown.until("It is being <b>moved</b>")
        await row.get_by_text("silent, ends").wait_for()
        await page.get_by_role("button", name="End it").click()
        await shown.until("The silence has ended.")
        await shown.until("No alert is silent.")

        await shown.open("/alerts?state=pending&name=delivery_lag")
        await shown.until("No alert fits these filters.")
        await shown.open("/alerts/silence")
        await page.get_by_label("Webhook").fill("nobody has this")
        await page.get_by_role("button", name="Silence", exact=True).click()
        await shown.until("Nothing is silenced")
        await shown.open("/alerts/history")
        await page.get_by_role("row", name="webhook down down").wait_for()
        await shown.check_accessible()
        shown.check_faultless()


async def test_the_audit_log_says_what_was_changed(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    page, client = shown.page, console.client
    shown.expected = ("422",)
    await client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.*"])
    await client.http.patch("/v1/webhooks/crm", json={"description": "<b>Orders</b>"})
    await client.http.delete("/v1/webhooks/nothing")
    await shown.sign_in(console.key)
    await shown.open("/audit-log")
    await shown.reloaded_until("webhooks.change")
    await shown.check_accessible()
    row = page.get_by_role("row").filter(has_text="webhooks.change")
    await row.locator("summary").click()
    await expect(row.locator("dl.changes")).to_contain_text("description")
    await expect(row.locator("dl.changes")).to_contain_text("<b>Orders</b>")
    await page.get_by_label("Operation").fill("webhooks.create")
    await expect(page.get_by_role("row").filter(has_text="webhooks.change")).to_have_count(0)
    assert "operation=webhooks.create" in page.url
    await page.get_by_label("Since").fill("1h")
    await expect(page.get_by_role("row").filter(has_text="webhooks.create")).to_have_count(1)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export these").click()
    lines = (await (await download.value).path()).read_text().splitlines()
    assert [json.loads(line)["operation"] for line in lines] == ["webhooks.create"]
    await shown.open("/audit-log?principal=nobody")
    await shown.until("No call fits these filters.")
    await shown.open("/audit-log?since=yesterday")
    await shown.until("is not an RFC 3339 time")
    shown.check_faultless()
