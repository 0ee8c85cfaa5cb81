"""Successes of events that come one by one share a write to Redis, where nothing waits for it."""

import pytest

from event_gateway.state import ledger
from support.client import connected, event
from support.fixtures import Start
from support.receiver import Receiver


async def test_an_ordered_webhook_does_not_wait_for_others(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SHARED", 3600.0)
    running = await start({})
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], ordered=True)
        sent = [event("a") for _ in range(4)]
        for each in sent:
            await client.send(each)
        got = await receiver.until(len(sent))
        assert [request.json["id"] for request in got] == [each["id"] for each in sent]
        await client.until("w", sent[-1]["id"], "succeeded")
