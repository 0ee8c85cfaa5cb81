"""The pages of events in a real browser: where an event is, why it did not match, sending again."""

import pytest

from support.client import event
from support.console import Console, Tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser


async def test_an_event_is_found_explained_and_sent_again(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    wanted = [{"field": "data.namespace", "operator": "equals", "value": "customer"}]
    await console.client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.>"])
    await console.client.webhook(
        id="narrow", url=f"{receiver.url}/narrow", events=["user.>"], filters=wanted
    )
    root = event("user.created", {"name": "<script>alert(1)</script>"}, id="the/root")
    effect = event("user.updated", {"name": "Ada"}, causationid="the/root")
    await console.client.send([root, effect])
    await console.client.until("crm", "the/root", "succeeded")
    await console.client.until("crm", effect["id"], "succeeded")
    await shown.sign_in(console.key)
    # The list, by type, leads to the event.
    await shown.open("/events?type=user.created&since=1h")
    await shown.page.get_by_role("link", name="the/root").click()
    await shown.until('equals "customer"')
    await shown.until("<script>alert(1)</script>")
    await shown.check_accessible()
    # Its effect leads back to it.
    await shown.page.get_by_role("link", name=effect["id"]).click()
    await shown.page.get_by_role("link", name="the/root").click()
    # It is sent again.
    await shown.page.get_by_role("button", name="Send again…").click()
    await shown.page.get_by_role("checkbox", name="crm").check()
    await shown.page.get_by_role("button", name="Send again", exact=True).click()
    await shown.until("The event is on its way to 1 of 1 webhooks.")
    await receiver.until(3, "/crm")
    # An id that nobody knows.
    shown.expected = ("404",)
    await shown.open("/deliveries")
    await shown.page.get_by_label("Event id").fill("unknown")
    await shown.page.keyboard.press("Enter")
    await shown.until("The id may be mistyped")
    shown.check_faultless()
