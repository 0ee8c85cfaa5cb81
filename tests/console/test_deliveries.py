"""The pages of deliveries in a real browser: a failure, its attempts, a retry, many at once."""

import pytest

from support.client import event
from support.console import Console, Tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser


async def test_a_failed_delivery_is_retried_once_its_receiver_works(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    receiver.answers["/crm"] = [503]
    await console.client.webhook(
        id="crm", url=f"{receiver.url}/crm", events=["user.>"],
        retry_policy={"max_attempts": 2, "initial_delay": "100ms"},
    )  # fmt: skip
    sent = event("user.created", {"name": "<b>Ada</b>"})
    await console.client.send([sent])
    await console.client.until("crm", sent["id"], "dead_letter")
    await shown.sign_in(console.key)
    # The list of all webhooks is narrowed, and leads to the delivery, with its attempts, their
    # responses and requests.
    await shown.open("/deliveries?status=dead_letter&since=1h")
    await shown.page.get_by_label("Event type").fill("shop.>")
    await shown.until("No delivery fits these filters.")
    await shown.page.get_by_label("Event type").fill("user.*")
    await shown.page.get_by_label("Webhook").fill("crm")
    await shown.page.wait_for_url("**webhook=crm**")
    await shown.page.get_by_role("link", name=sent["id"]).click()
    await shown.until("Attempt 2")
    await shown.page.get_by_text("Request", exact=True).first.click()
    await shown.until("<b>Ada</b>")
    await shown.check_accessible()
    # The receiver works again.
    receiver.answers["/crm"] = [200]
    await shown.page.get_by_role("button", name="Retry now").click()
    await shown.until("The gateway attempts this delivery now.")
    await shown.reloaded_until("succeeded")
    shown.check_faultless()


async def test_all_deliveries_that_wait_are_cancelled(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    await console.client.webhook(
        id="crm", url=f"{receiver.url}/crm", events=["user.>"], enabled=False
    )
    sent = [event("user.created", {"number": number}) for number in range(3)]
    await console.client.send(sent)
    for each in sent:
        await console.client.until("crm", each["id"], "pending")
    await shown.sign_in(console.key)
    await shown.open("/deliveries?webhook=crm&status=pending")
    await shown.page.get_by_role("button", name="Cancel all of these…").click()
    await shown.until("Cancel 3 deliveries of crm?")
    await shown.check_accessible()
    await shown.page.get_by_role("button", name="Cancel 3 deliveries").click()
    await shown.until("3 deliveries cancelled.")
    await console.client.until("crm", sent[0]["id"], "cancelled")
    await shown.page.get_by_label("Status").select_option("cancelled")
    await shown.page.locator("tbody tr").nth(2).wait_for()
    shown.check_faultless()


async def test_a_filter_with_a_wrong_value_says_so_in_place_and_can_be_corrected(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    shown.expected = ("422",)
    await console.client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.>"])
    sent = event("user.created", {"number": 1})
    await console.client.send([sent])
    await console.client.until("crm", sent["id"], "succeeded")
    await shown.sign_in(console.key)
    await shown.open("/deliveries?webhook=crm")
    await shown.until(sent["id"])
    for label, wrong, problem, right in (
        ("Since", "7", "'7' is not an RFC 3339 time", "7d"),
        ("Webhook", "cr", "there is no webhook cr", "crm"),
    ):
        await shown.page.get_by_label(label, exact=True).fill(wrong)
        await shown.until(problem)
        await shown.check_accessible()
        await shown.page.get_by_label(label, exact=True).fill(right)
        await shown.until(sent["id"])
    shown.check_faultless()


async def test_a_delivery_whose_event_has_an_odd_id_is_shown_live_and_retried(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    receiver.answers["/crm"] = [503]
    await console.client.webhook(
        id="crm", url=f"{receiver.url}/crm", events=["user.>"], enabled=False,
        retry_policy={"max_attempts": 1},
    )  # fmt: skip
    sent = event("user.created", {"number": 1}) | {"id": "a/../b?c#d%41 e"}
    dots = event("user.created", {"number": 2}) | {"id": ".."}
    await console.client.send([sent, dots])
    await shown.sign_in(console.key)
    await shown.open("/deliveries?webhook=crm&status=pending")
    await shown.page.get_by_role("link", name=sent["id"]).click()
    await shown.until("There was no attempt yet.")
    # The page brings itself up to date.
    await console.client.http.post("/v1/webhooks/crm/enable")
    await shown.until("Attempt 1")
    await shown.page.reload()
    await shown.page.get_by_role("button", name="Retry now").click()
    await shown.until("The gateway attempts this delivery now.")
    # Browsers take two dots in a path for a step up.
    await shown.open("/find-event?id=..")
    await shown.page.get_by_role("heading", level=1, name="..").wait_for()
    await shown.open("/deliveries?webhook=crm")
    await shown.page.get_by_role("link", name="..", exact=True).click()
    await shown.page.get_by_role("button", name="Retry now").click()
    await shown.until("The gateway attempts this delivery now.")
    shown.check_faultless()
