"""A queue that drains: the next deliveries are leased while the former ones are handed over."""

import asyncio
from typing import Any

import pytest

from event_gateway.delivery import due_loop
from event_gateway.delivery.handover import Handover
from event_gateway.state.queues import Queues
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

LEASED = 16
COUNT = 200


async def test_rounds_overlap_within_their_bound(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_loop, "MAX_LEASED", LEASED)
    webhook = {"id": "w", "url": f"{receiver.url}/w", "events": ["user.*"]}
    await client.webhook(**webhook)
    await client.send([event("user.a") for _ in range(40)])  # raises the limit of its lane
    await receiver.until(40)
    await client.http.patch("/v1/webhooks/w", json={"enabled": False})
    sent = [event("user.b", {"n": n}) for n in range(COUNT)]
    await client.send(sent)
    await client.until("w", sent[-1]["id"], "pending")

    handed_over = asyncio.Event()
    order: list[str] = []
    under_way, most = 0, 0
    take, load, dispatch = Queues.take, Handover.load, Handover.dispatch

    async def taken(queues: Queues, requests: Any) -> Any:
        nonlocal under_way, most
        deliveries = await take(queues, requests)
        under_way += len(deliveries)
        most = max(most, under_way)
        return deliveries

    async def loaded(handover: Handover, deliveries: Any) -> Any:
        out = await load(handover, deliveries)
        if under_way > LEASED:
            handed_over.set()  # the next round has been loaded before this one is dispatched
        return out

    async def dispatched(handover: Handover, deliveries: Any, *given: Any, **more: Any) -> None:
        nonlocal under_way
        await handed_over.wait()
        order.extend(delivery.event_id for delivery in deliveries)
        await dispatch(handover, deliveries, *given, **more)
        under_way -= len(deliveries)

    monkeypatch.setattr(Queues, "take", taken)
    monkeypatch.setattr(Handover, "load", loaded)
    monkeypatch.setattr(Handover, "dispatch", dispatched)
    async with asyncio.timeout(PATIENCE):
        await client.http.patch("/v1/webhooks/w", json={"enabled": True})
        got = await receiver.until(40 + COUNT)
    assert sorted(order) == sorted(each["id"] for each in sent)
    assert LEASED < most <= due_loop.MAX_ROUNDS * LEASED
    assert len({request.json["id"] for request in got}) == 40 + COUNT
