"""A webhook that is registered again under the id of one that was deleted."""

import asyncio

import pytest

from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver


@pytest.mark.parametrize(("answer", "status"), [(200, "succeeded"), (500, "cancelled")])
async def test_late_results_of_the_former_webhook_are_not_counted(
    client: Client, receiver: Receiver, answer: int, status: str
) -> None:
    """Its attempts were in flight when it was deleted, and end after the new registration."""
    receiver.answers["/former"] = [answer]
    receiver.holds["/former"] = asyncio.Event()
    await client.webhook(id="w", url=f"{receiver.url}/former", events=["a"], timeout="60s")
    sent = [event("a") for _ in range(2)]
    await client.send(sent)
    for each in sent:
        await client.until("w", each["id"], "in_progress")
    await client.delete_webhook("w")
    for each in sent:
        assert (await client.delivery("w", each["id"]))["status"] == "cancelled"
    await client.webhook(id="w", url=f"{receiver.url}/new", events=["b"])
    receiver.holds["/former"].set()
    for each in sent:
        await client.until("w", each["id"], status)

    # Written after these: the ledger writes in order.
    sent = [event("b") for _ in range(3)]
    await client.send(sent)
    for each in sent:
        await client.until("w", each["id"], "succeeded")
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/w/stats")).json()["in_flight"]:
            await asyncio.sleep(0.05)
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    for counted in (stats, stats["last_24h"]):
        shown = [counted[name] for name in ("attempts", "succeeded", "dead_lettered", "cancelled")]
        assert shown == [3, 3, 0, 0]
