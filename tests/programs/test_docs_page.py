"""The page of the API's documentation, in a real browser."""

from pathlib import Path

import pytest

from support.browser import page
from support.client import Client
from support.patience import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1500)]  # on a busy machine
# The text of a part without the spaces at which long words may break. Not that of the whole page:
# it takes the layout of all operations, each time.
TEXT = "document.{part}?.textContent.replaceAll('\\u200b', '')"
MESSAGE, A_PATH = (
    "getElementById('message')",
    "querySelector('#operations-webhooks-show_webhook .opblock-summary-path')",
)
OPERATION = "#operations-webhooks-create_webhook"


async def test_the_page_asks_for_a_key_and_shows_the_document(
    client: Client, tmp_path: Path
) -> None:
    url = str(client.http.base_url).rstrip("/")
    async with page(tmp_path / "browser", f"{url}/docs") as tab:
        await tab.call("Runtime.enable")
        await tab.until("document.getElementById('login')?.hidden === false")
        for key, part, shown in (
            ("wrong", MESSAGE, "not known"), (client.key, A_PATH, "/v1/webhooks/{webhook_id}"),
        ):  # fmt: skip
            await tab.value(f"document.getElementById('key').value = {key!r}")
            await tab.value("document.getElementById('login').requestSubmit()")
            # Drawing the page once takes seconds of CPU, and minutes on a busy machine.
            await tab.until(f"{TEXT.format(part=part)}.includes({shown!r})", timeout=8 * PATIENCE)
        # A strict policy stops what is not of this gateway, and none of it was needed.
        assert await tab.value(
            "performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin)"
            " || e.name.startsWith('data:'))"
        )
        await tab.value(f"document.querySelector('{OPERATION} .opblock-summary-control').click()")
        await tab.until(
            f"document.querySelector('{OPERATION}').textContent.includes('circuit_breaker')"
        )
