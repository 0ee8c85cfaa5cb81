"""Signing in and out in a real browser, and what a key sees."""

import pytest

from support.console import Console, Tab

pytestmark = pytest.mark.browser


async def test_signing_in_and_out(console: Console, shown: Tab) -> None:
    shown.expected = ("401",)
    # A page leads to the sign-in page, and that leads back.
    await shown.open("/webhooks?state=paused")
    await shown.page.get_by_label("API key").fill("egk_wrong")
    await shown.page.keyboard.press("Enter")
    await shown.until("The gateway does not know this key.")
    await shown.page.get_by_label("API key").fill(console.key)
    await shown.page.keyboard.press("Enter")
    await shown.until("No webhook fits these filters.")
    assert shown.page.url.endswith("/webhooks?state=paused")
    # Scripts do not see the session.
    assert await shown.page.evaluate("document.cookie") == ""
    await shown.page.get_by_role("button", name="Sign out").click()
    await shown.page.get_by_label("API key").wait_for()
    await shown.open("/webhooks")
    assert "/sign-in" in shown.page.url
    shown.check_faultless()
