"""The catalog in a real browser: an event type is registered, changed, imported and deleted."""

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from support.console import Console, Tab

pytestmark = pytest.mark.browser
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


async def test_an_event_type_from_its_form_to_its_end(console: Console, shown: Tab) -> None:
    page, http = shown.page, console.client.http
    shown.expected = ("422",)
    await shown.sign_in(console.key)
    await shown.open("/")
    await page.locator("nav.nav").get_by_role("link", name="Event types").click()
    await page.get_by_role("link", name="Register a type").first.click()
    await page.get_by_label("Type", exact=False).first.fill("shop.order.made")
    await page.get_by_label("JSON Schema of the data").fill('{"a":' * 2000)
    await page.get_by_role("button", name="Register the type").click()
    await shown.until("This is not JSON")
    await shown.check_accessible()
    await page.get_by_label("JSON Schema of the data").fill(json.dumps(SCHEMA))
    await page.get_by_label("Examples").fill('[{"name": "<i>one</i>"}]')
    await page.get_by_label("Owner").fill("shop")
    await page.get_by_label("Events that violate the schema").select_option("reject")
    await page.get_by_role("button", name="Register the type").click()
    await shown.until("shop.order.made is registered.")
    await shown.until('"name": "<i>one</i>"')
    await shown.check_accessible()
    found = (await http.get("/v1/event-types/shop.order.made")).json()
    assert (found["schema"], found["in_force"]) == (SCHEMA, "reject")

    await page.get_by_role("link", name="Change", exact=True).click()
    await page.get_by_label("Description").fill("An order was made")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("shop.order.made is changed.")
    changed = (await http.get("/v1/event-types/shop.order.made")).json()
    assert changed["schema"] == SCHEMA
    assert changed["description"] == "An order was made"

    # A change of somebody else meanwhile is not lost.
    await page.get_by_role("link", name="Change", exact=True).click()
    await page.get_by_label("Owner").fill("sales")
    await http.patch("/v1/event-types/shop.order.made", json={"dataschema": "https://a.example/"})
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("It is not saved yet: Another caller has changed it.")
    changed = (await http.get("/v1/event-types/shop.order.made")).json()
    assert (changed["owner"], changed["dataschema"]) == ("shop", "https://a.example/")

    # The owner filters the list as it is typed, and stands in the URL.
    await shown.open("/event-types")
    await page.get_by_label("Owner").fill("nobody")
    await shown.until("No event type fits these filters.")
    assert "owner=nobody" in page.url
    await page.get_by_label("Owner").fill("shop")
    await shown.until("shop.order.made")

    # The export is what the import takes.
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export AsyncAPI").click()
    document = Path(await (await download.value).path()).read_text()
    assert "shop.order.made" in document
    await shown.open("/event-types/shop.order.made")
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete the event type").click()
    await shown.until("shop.order.made is not in the catalog any more.")
    await page.get_by_role("link", name="Import AsyncAPI").click()
    await page.get_by_label("AsyncAPI 3 document").fill("{}")
    await page.get_by_role("button", name="Show what it would do").click()
    await shown.until("The document is not imported")
    await page.get_by_label("AsyncAPI 3 document").fill(document)
    await page.get_by_role("button", name="Show what it would do").click()
    await shown.until("New: 1")
    await shown.check_accessible()
    assert (await http.get("/v1/event-types/shop.order.made")).status_code == 404
    await page.get_by_role("button", name="Import 1 event types").click()
    await shown.until("1 event types are registered.")
    await expect(page.get_by_role("link", name="shop.order.made")).to_be_visible()
    shown.check_faultless()


async def test_a_type_with_an_odd_name_has_its_pages(console: Console, shown: Tab) -> None:
    await shown.sign_in(console.key)
    page = shown.page
    for name in ("shop?order#1%41 made", "new", "export", "shop/edit"):
        await shown.open("/new-event-type")
        await page.get_by_label("Type", exact=False).first.fill(name)
        await page.get_by_role("button", name="Register the type").click()
        await shown.until(f"{name} is registered.")
        await page.get_by_role("heading", level=1, name=name, exact=True).wait_for()
        await page.get_by_role("link", name="Change", exact=True).click()
        await page.get_by_label("Description").fill("It is odd")
        await page.get_by_role("button", name="Save the changes").click()
        await shown.until(f"{name} is changed.")
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete the event type").click()
    await shown.until("shop/edit is not in the catalog any more.")
    shown.check_faultless()
