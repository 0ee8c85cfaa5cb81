"""Every page in a real browser: accessible, at home on a phone, in the dark, and without faults."""

from pathlib import Path

from playwright.async_api import Browser

from support.console import DESKTOP, PHONE, Theme, gateway_and_console, in_browser, tab
from support.receiver import Receiver

pytestmark = in_browser
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


async def test_every_page_is_accessible(
    tmp_path: Path, chromium: Browser, receiver: Receiver
) -> None:
    async with gateway_and_console(tmp_path, STREAMS) as console:
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
