"""Dead letters and replays in a real browser: inspect, replay, count first, delete."""

import pytest

from support.client import event
from support.console import Console, Tab
from support.receiver import Receiver

pytestmark = pytest.mark.browser


async def test_dead_letters_are_replayed_and_deleted(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    receiver.answers["/crm"] = [503]
    await console.client.webhook(
        id="crm", url=f"{receiver.url}/crm", events=["user.>"],
        retry_policy={"max_attempts": 1}, circuit_breaker={"failure_threshold": 100},
    )  # fmt: skip
    sent = [event("user.created", {"number": number}) for number in range(3)]
    await console.client.send(sent)
    for each in sent:
        await console.client.until("crm", each["id"], "dead_letter")
    receiver.answers["/crm"] = [200]
    await shown.sign_in(console.key)
    # All are counted, then replayed.
    await shown.open("/dead-letters?webhook=crm")
    await shown.page.get_by_role("button", name="Replay all of these…").click()
    await shown.page.get_by_role("button", name="Replay 3 dead letters").click()
    await shown.until("The replay has started.")
    await shown.check_accessible()
    for each in sent:
        await console.client.until("crm", each["id"], "succeeded")
    # One is inspected, and replayed alone.
    await shown.open("/dead-letters?webhook=crm&reason=ServerError&since=1h")
    await shown.page.get_by_role("link", name=sent[0]["id"]).click()
    await shown.until("Attempt 1")
    await shown.check_accessible()
    await shown.page.get_by_role("button", name="Replay", exact=True).click()
    await shown.until("The replay has started.")
    # All are deleted.
    await shown.open("/dead-letters")
    await shown.page.get_by_role("button", name="Delete all of these…").click()
    await shown.until("Delete 3 dead letters?")
    await shown.check_accessible()
    await shown.page.get_by_role("button", name="Delete 3 dead letters").click()
    await shown.until("There is no dead letter.")
    shown.check_faultless()


async def test_events_of_the_log_are_counted_and_replayed(
    receiver: Receiver, console: Console, shown: Tab
) -> None:
    await console.client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.>"])
    sent = [event("user.created", {"number": number}) for number in range(3)]
    await console.client.send(sent)
    await receiver.until(3, "/crm")
    for each in sent:
        await console.client.until("crm", each["id"], "succeeded")
    await shown.sign_in(console.key)
    shown.expected = ("422",)
    await shown.open("/replays/new")
    await shown.page.get_by_label("Webhook").fill("crm")
    await shown.page.get_by_label("Since").fill("yesterday")
    await shown.page.get_by_role("button", name="Count the events").click()
    await shown.until("is not an RFC 3339 time")
    await shown.check_accessible()
    await shown.page.get_by_label("Since").fill("1h")
    await shown.page.get_by_role("button", name="Count the events").click()
    await shown.page.get_by_role("button", name="Replay 3 events").click()
    await shown.until("The replay has started.")
    await receiver.until(6, "/crm")
    shown.check_faultless()
