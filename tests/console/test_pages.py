"""Every page in a real browser: accessible, at home on a phone, in the dark, and without faults."""

from pathlib import Path

import pytest

from support.console import DESKTOP, PHONE, Theme, browser, gateway_with_console, tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser
# A page of each kind; a group of pages adds its own.
SCREENS: tuple[tuple[dict[str, int], Theme], ...] = ((DESKTOP, "light"), (PHONE, "dark"))
STREAMS = {"streams": {"users": {"subjects": ["user.*"]}}}
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
    "/streams/users",
    "/streams/users/tail",
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


async def test_every_page_is_accessible(tmp_path: Path, receiver: Receiver) -> None:
    async with gateway_with_console(tmp_path, STREAMS) as console, browser() as chromium:
        await console.client.webhook(id="orders", url=f"{receiver.url}/orders", events=["user.>"])
        for screen, theme in SCREENS:
            async with tab(chromium, console.url, screen=screen, theme=theme) as shown:
                shown.expected = ("404",)
                await shown.open("/sign-in")
                await shown.check_accessible()
                await shown.sign_in(console.key)
                for path in PATHS:
                    await shown.open(path)
                    await shown.check_accessible()
                shown.check_faultless()
