"""Every page in a real browser: accessible, at home on a phone, in the dark, and without faults."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from support.console import DESKTOP, PHONE, Theme, gateway_and_console, tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser
# A page of each kind; a group of pages adds its own.
SCREENS: tuple[tuple[dict[str, int], Theme], ...] = ((DESKTOP, "light"), (PHONE, "dark"))
STREAMS = {
    "streams": {
        "users": {"subjects": ["user.*"]},
        "records": {"subjects": ["audit.>"], "compliance": True},
    },
    "sources": {"gh": {"type": "github", "secret_name": "gh_secret"}},
}
PATHS = (
    "/",
    "/webhooks",
    "/new-webhook",
    "/webhooks/orders",
    "/webhooks/orders/edit",
    "/deliveries",
    "/deliveries?webhook=orders",
    "/events",
    "/streams",
    "/new-stream",
    "/streams/users",
    "/streams/users/tail",
    "/streams/records/compliance",
    "/sources",
    "/sources/gh",
    "/sources/gh/edit",
    "/new-source",
    "/new-source?type=hmac",
    "/event-types",
    "/new-event-type",
    "/import-event-types",
    "/alerts",
    "/alerts/history",
    "/alerts/silence",
    "/rejected",
    "/audit-log",
    "/keys",
    "/keys/new",
    "/secrets",
    "/dead-letters",
    "/replays",
    "/replays/new",
    "/system",
    "/system/configuration",
    "/nothing",
)


@pytest.mark.timeout(900)  # on a busy machine
async def test_every_page_is_accessible(
    tmp_path: Path, chromium: Browser, receiver: Receiver
) -> None:
    """Half of the pages are opened on one screen and checked again as the other one, which each
    page follows without being loaded again; the other half the other way round."""
    async with gateway_and_console(tmp_path, STREAMS) as console:
        await console.client.webhook(id="orders", url=f"{receiver.url}/orders", events=["user.>"])
        for screens, paths in ((SCREENS, PATHS[::2]), (SCREENS[::-1], PATHS[1::2])):
            screen, theme = screens[0]
            async with tab(chromium, console.url, screen=screen, theme=theme) as shown:
                shown.expected = ("404",)
                await shown.open("/sign-in")
                await shown.check_accessible()
                await shown.sign_in(console.key)
                for path in paths:
                    await shown.open(path)
                    await shown.check_accessible()
                    await shown.become(*screens[1])
                    await shown.check_accessible()
                    await shown.become(*screens[0])
                shown.check_faultless()
