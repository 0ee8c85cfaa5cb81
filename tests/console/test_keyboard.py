"""The console by the keyboard alone: every stop is seen, nothing traps, the daily work is done."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from support.client import event
from support.console import gateway_and_console, tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser
MOST = 150  # stops of a page
FOCUSED = """() => {
  const element = document.activeElement, box = element.getBoundingClientRect();
  const style = getComputedStyle(element), none = element === document.body;
  return {
    name: none ? "" : (element.getAttribute("aria-label") || element.labels?.[0]?.innerText ||
                       element.innerText || "").replace("*", "").trim(),
    none,
    seen: style.outlineStyle !== "none" && box.width > 1 && box.height > 1 &&
          box.bottom > 0 && box.top < innerHeight,
  };
}"""


async def step(page: Page, key: str = "Tab") -> dict[str, Any]:
    """Presses a key; what has the focus then, which must be seen."""
    await page.keyboard.press(key)
    focused: dict[str, Any] = await page.evaluate(FOCUSED)
    assert focused["none"] or focused["seen"], f"{focused['name']} has the focus and is not seen"
    return focused


async def go_to(page: Page, name: str) -> None:
    """Steps on until something of this name has the focus."""
    passed = []
    for _ in range(MOST):
        focused = await step(page)
        if focused["name"] == name:
            return
        passed.append(focused["name"])
    raise AssertionError(f"no way to {name}, but to {passed}")


async def follow(page: Page, name: str, then: str) -> None:
    """Follows a link; the next page shows ``then``."""
    await go_to(page, name)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await page.locator("main").get_by_text(then).first.wait_for()


async def to_content(page: Page) -> None:
    """Skips what each page begins with."""
    assert (await step(page))["name"] == "Skip to the content"
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


async def test_the_daily_work_is_done_by_the_keyboard_alone(
    tmp_path: Path, chromium: Browser, receiver: Receiver
) -> None:
    receiver.answers["/crm"] = [500]
    streams = {"streams": {"users": {"subjects": ["user.*"]}}}
    async with (
        gateway_and_console(tmp_path, streams) as console,
        tab(chromium, console.url) as shown,
    ):
        page, client = shown.page, console.client
        shown.expected = ("422",)
        await shown.open("/sign-in")
        await page.keyboard.type(console.key)  # the field has the focus already
        await page.keyboard.press("Enter")
        await page.wait_for_selector("nav.nav", state="attached")

        # A webhook. A form that is refused begins at what is wrong.
        await follow(page, "Webhooks", "There is no webhook yet.")
        await to_content(page)
        await go_to(page, "Create a webhook")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#definition")
        await to_content(page)
        for field, text in (
            ("Id", "crm"), ("URL", f"{receiver.url}/crm"), ("Event types", "user.>"),
            ("Attempts", "many"),
        ):  # fmt: skip
            await go_to(page, field)
            await page.keyboard.type(text)
        await go_to(page, "Create the webhook")
        await page.keyboard.press("Enter")
        await shown.until("The webhook is not saved yet")
        await expect(page.get_by_label("Attempts")).to_be_focused()
        await page.keyboard.press("Control+a")
        await page.keyboard.type("1")
        await go_to(page, "Create the webhook")
        await page.keyboard.press("Enter")
        await shown.until("crm is registered.")

        # A question takes the focus, Escape gives it back.
        await go_to(page, "Delete")
        await page.keyboard.press("Enter")
        dialog = page.locator("dialog[open]")
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        inside = [(await step(page))["name"] for _ in range(6)]
        assert "Delete the webhook" in inside
        assert not {"Pause", "Overview"} & set(inside)
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        assert (await page.evaluate(FOCUSED))["name"] == "Delete"

        # A failure: it is found, its attempts are opened, and it is sent again.
        sent = event("user.made", {"name": "Ada"}, id="failed-one")
        await client.send([sent])
        await client.until("crm", sent["id"], "dead_letter")
        await follow(page, "Its deliveries", sent["id"])
        await to_content(page)
        await follow(page, sent["id"], "Attempt 1")
        await to_content(page)
        await go_to(page, "Request")
        await page.keyboard.press("Enter")
        await expect(page.locator("details[open] pre")).to_contain_text("user.made")
        receiver.answers["/crm"] = [200]
        await page.reload()
        await go_to(page, "Retry now")
        await page.keyboard.press("Enter")
        await shown.until("The gateway attempts this delivery now.")
        await client.until("crm", sent["id"], "succeeded")

        # A tail is followed, and paused.
        await follow(page, "Streams", "users")
        await to_content(page)
        await follow(page, "users", "Nobody is subscribed now.")
        await to_content(page)
        await follow(page, "Follow it live", "Connected.")
        await to_content(page)
        await client.send([event("user.made", {}, subject="seen-live")])
        await shown.until("seen-live")
        await go_to(page, "Pause")
        await page.keyboard.press("Space")
        await expect(page.get_by_role("button", name="Resume")).to_be_focused()

        # "/" leads to the search, and the page ends where it began: nothing traps.
        await shown.open("/webhooks")
        await page.keyboard.press("/")
        await expect(page.get_by_label("Search")).to_be_focused()
        for _ in range(MOST):
            if (await step(page))["none"]:
                break
        else:
            raise AssertionError("the page has no end")
        shown.check_faultless()
