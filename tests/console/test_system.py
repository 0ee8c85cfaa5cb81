"""The configuration in force in a real browser: every key, and no secret."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from support.console import gateway_and_console, tab

pytestmark = pytest.mark.browser


async def test_the_configuration_in_force_is_shown(tmp_path: Path, chromium: Browser) -> None:
    config = {
        "ingest": {"retention": "3d"},
        "telemetry": {"otlp": {"endpoint": "http://127.0.0.1:9/", "headers": {"k": "hush"}}},
    }
    async with (
        gateway_and_console(tmp_path, config) as console,
        tab(chromium, console.url) as shown,
    ):
        page = shown.page
        await shown.sign_in(console.key)
        await shown.open("/system")
        await page.get_by_role("link", name="Configuration in force").click()
        await page.get_by_role("searchbox", name="Key").fill("ingest.")
        retention = page.locator("dt", has_text="ingest.retention")
        await expect(retention).to_contain_text("set")
        await expect(page.locator("dt", has_text="ingest.max_bytes")).not_to_contain_text("set")
        await page.get_by_role("combobox").select_option("those that are set")
        await expect(page.locator("dt", has_text="ingest.max_bytes")).to_have_count(0)
        await expect(retention).to_be_visible()
        assert "search=ingest." in page.url
        await page.get_by_role("searchbox", name="Key").fill("otlp.headers")
        await shown.until("(hidden)")
        assert "hush" not in await page.content()
        await page.get_by_role("searchbox", name="Key").fill("nothing-has-this")
        await shown.until("No key fits this search.")
        shown.check_faultless()
