"""Webhooks are created, tried, changed and deleted in a real browser."""

import base64
import re

import pytest
from playwright.async_api import expect
from standardwebhooks.webhooks import Webhook

from support.client import event
from support.console import DESKTOP, PHONE, Console, Tab
from support.receiver import Receiver, allows

pytestmark = pytest.mark.browser
SIGNING = f"whsec_{base64.b64encode(b'signing key of this receiver').decode()}"


async def test_a_webhook_from_its_form_to_its_end(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    page = shown.page
    shown.expected = ("422",)
    await console.client.send(event("user.made", {"namespace": "customer"}, id="known"))
    await shown.sign_in(console.key)
    await shown.open("/")
    await page.get_by_role("link", name="Webhooks", exact=True).click()
    await shown.until("There is no webhook yet.")
    await page.get_by_role("link", name="Create a webhook").first.click()

    # What is wrong is said while it is filled in, and again when it is sent.
    await page.get_by_label("Id").fill("crm orders")
    await page.get_by_label("URL").fill(f"{receiver.url}/crm")
    await page.get_by_label("Event types").fill("user.>")
    await expect(page.locator("#id-error")).not_to_be_empty()
    await page.get_by_role("button", name="Create the webhook").click()
    await shown.until("The webhook is not saved yet")
    await page.get_by_label("Id").fill("crm_orders")
    await expect(page.locator("#id-error")).to_be_empty()
    await page.get_by_label("Namespaces").fill("customer")
    await page.get_by_label("Attempts", exact=True).fill("5")
    await shown.until("1 of the latest 1 events of these types would match.")
    await shown.until(f"POST {receiver.url}/crm")
    await shown.check_accessible()
    await page.get_by_role("button", name="Create the webhook").click()
    await shown.until("crm_orders is registered.")
    definition = (await console.client.http.get("/v1/webhooks/crm_orders")).json()
    assert definition["namespaces"] == ["customer"]
    assert definition["retry_policy"]["max_attempts"] == 5
    assert definition["enrich"] is True

    # A delivery is counted without loading the page again.
    sent = event("user.made", {"namespace": "customer"})
    await console.client.send(sent)
    await console.client.until("crm_orders", sent["id"], "succeeded")
    delivered = page.locator(".figure", has_text="Delivered, 24 h").locator("dd")
    await expect(delivered).to_have_text("1")

    await page.get_by_role("button", name="Send a test event").click()
    await shown.until("The receiver answered 200")
    receiver.answers["/crm"] = [503]
    await page.get_by_role("button", name="Send a test event").click()
    await shown.until("HTTP 503")
    await shown.check_accessible()

    await page.get_by_role("button", name="Pause").click()
    await shown.until("crm_orders is paused.")
    await page.get_by_role("button", name="Enable", exact=True).click()
    await page.locator("dialog[open]").get_by_role("button", name="Enable").click()
    await shown.until("crm_orders is enabled.")

    # A change keeps what the form does not touch.
    await console.client.http.patch(
        "/v1/webhooks/crm_orders", json={"headers": {"X-Tenant": "acme"}}
    )
    await page.get_by_role("link", name="Change", exact=True).click()
    await expect(page.get_by_label("Everything else")).to_have_value(re.compile("X-Tenant"))
    await page.get_by_label("Description").fill("Orders <b>of</b> the shop")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("crm_orders is changed.")
    await shown.until("Orders <b>of</b> the shop")
    changed = (await console.client.http.get("/v1/webhooks/crm_orders")).json()
    kept = ("headers", "namespaces", "retry_policy", "events", "url", "enrich")
    assert {name: changed[name] for name in kept} == {name: definition[name] for name in kept} | {
        "headers": {"X-Tenant": "acme"}
    }

    await page.get_by_role("button", name="Delete").click()
    await shown.check_accessible()
    await page.get_by_role("button", name="Delete the webhook").click()
    await shown.until("crm_orders is deleted.")
    shown.check_faultless()


async def test_a_webhook_is_verified_enabled_without_what_waited_and_gets_a_new_key(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    page, http = shown.page, console.client.http
    await http.put("/v1/secrets/signing", json={"value": SIGNING})
    await console.client.webhook(
        id="new", url=f"{receiver.url}/crm", events=["user.>"], verify=True,
        security={"auth_type": "hmac_signature", "secret_name": "signing"},
    )  # fmt: skip
    await shown.sign_in(console.key)
    await shown.open("/")
    await page.locator("nav.nav").get_by_role("link", name="Webhooks").click()
    # It has a page of its own, whatever its id.
    await page.get_by_role("link", name="new", exact=True).click()
    await page.get_by_role("button", name="Verify").click()
    await shown.until("The receiver does not allow deliveries")
    receiver.options_answers["/crm"] = [allows()]
    await page.get_by_role("button", name="Verify").click()
    await shown.until("The receiver allows deliveries.")

    await page.get_by_role("button", name="Pause").click()
    await shown.until("new is paused.")
    waits = event("user.created")
    await console.client.send(waits)
    await console.client.until("new", waits["id"], "pending")
    # On a phone the overview shows all figures of the webhook, without scrolling sideways.
    await shown.become(PHONE, "light")
    await shown.open("/")
    longest = page.get_by_role("region", name="Webhooks that wait longest")
    await expect(longest.get_by_role("link", name="new")).to_be_visible()
    assert await longest.evaluate("node => node.scrollWidth - node.clientWidth") <= 0
    await shown.become(DESKTOP, "light")
    await shown.open("/webhooks/new")
    await page.get_by_role("button", name="Enable", exact=True).click()
    await page.get_by_label("Cancel them instead").check()
    await shown.check_accessible()
    await page.locator("dialog[open]").get_by_role("button", name="Enable").click()
    await shown.until("new is enabled. What waited is cancelled.")
    await console.client.until("new", waits["id"], "cancelled")

    # The new key is shown this once, and signs from now on, beside the former one.
    await page.get_by_role("button", name="Rotate the secret").click()
    await shown.check_accessible()
    await page.locator("dialog[open]").get_by_role("button", name="Rotate").click()
    key = await page.locator("pre").filter(has_text="whsec_").inner_text()
    await shown.check_accessible()
    signed = event("user.created")
    await console.client.send(signed)
    (request,) = await receiver.until(1)
    for each in (key, SIGNING):
        Webhook(each).verify(request.body, request.headers)
    await shown.open("/webhooks/new")
    assert key not in await page.content()
    shown.check_faultless()


async def test_a_list_is_searched_as_the_reader_types(console: Console, shown: Tab) -> None:
    for number in range(60):
        await console.client.webhook(
            id=f"w{number:02}", url="https://example.com/in", events=["user.>"]
        )
    await shown.sign_in(console.key)
    await shown.open("/webhooks")
    await shown.until("50 of 60 webhooks")
    await shown.page.get_by_role("link", name="Next page").click()
    await shown.until("w59")
    # The key / leads to the search, and the URL keeps what was searched for.
    await shown.page.keyboard.press("/")
    await shown.page.keyboard.type("w4")
    await shown.until("10 of 10 webhooks")
    assert "search=w4" in shown.page.url
    await shown.page.reload()
    await shown.until("10 of 10 webhooks")
    shown.check_faultless()


async def test_a_key_of_a_namespace_sees_its_own(console: Console, shown: Tab) -> None:
    shown.expected = ("404",)
    await console.client.webhook(id="ours", url="https://example.com/", events=["user.>"])
    asked = {"name": "Acme", "scopes": ["webhooks:read"], "namespaces": ["acme"]}
    key = (await console.client.http.post("/v1/keys", json=asked)).json()["key"]
    await shown.sign_in(key)
    await shown.open("/")
    await shown.until("Overview")
    assert await shown.page.get_by_role("link", name="System").count() == 0
    await shown.open("/webhooks")
    await shown.until("There is no webhook yet.")
    assert await shown.page.get_by_role("link", name="Create a webhook").count() == 0
    await shown.open("/webhooks/ours")
    await shown.until("Not found")
    await shown.open("/system")
    await shown.until("Not allowed")
    shown.expected = ("404", "403")
    shown.check_faultless()
