"""The demo opens into a console at work, by a link that signs in once."""

import asyncio
import re
import subprocess
import sys

import pytest
from playwright.async_api import Browser

from event_gateway.embedded.process import killed_with_parent
from support.console import tab
from support.patience import PATIENCE

pytestmark = pytest.mark.browser


async def test_the_demo_opens_into_the_console(chromium: Browser) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "event_gateway", "demo",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    out = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while (match := re.search(r"(http://[\d.:]+)(/sign-in/once\S+)", out)) is None:
                out += (await process.stdout.readline()).decode()
        draining = asyncio.create_task(process.stdout.read())
        async with tab(chromium, match[1]) as shown:
            shown.expected = ("403",)
            await shown.open(match[2])
            await shown.until("Deliveries waiting")
            await shown.open("/webhooks")
            await shown.until("security_siem")
            await shown.open("/webhooks/external_crm")
            await shown.reloaded_until("100\u202f%")
            await shown.page.get_by_role("button", name="Sign out").click()
            await shown.open(match[2])
            await shown.until("This link was used already")
            shown.check_faultless()
    finally:
        process.terminate()
        await process.wait()
    assert "every promise was kept" in (await draining).decode()
