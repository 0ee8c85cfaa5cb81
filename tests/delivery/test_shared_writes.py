"""Changes of deliveries share a write to Redis, where nothing waits for it."""

import asyncio
from typing import Any

import pytest

from event_gateway.state import ledger, pending_changes
from support.client import connected, event
from support.fixtures import Start
from support.patience import PATIENCE
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


def _only_what_is_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes nothing else."""
    monkeypatch.setattr(ledger, "SHARED", 3600.0)
    # The timer of an attempt writes what waits.
    monkeypatch.setattr(pending_changes, "HOLD", 3600.0)


RETRY: dict[str, Any] = {"max_attempts": 9, "backoff": "fixed"}


async def test_a_retry_that_is_far_away_waits_for_others_and_a_near_one_does_not(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_what_is_urgent(monkeypatch)
    running = await start({})
    written = running.gateway.stages.adapters.ledger
    for path in ("/far", "/near"):
        receiver.answers[path] = [500, 200]
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        for name, delay in (("far", "1h"), ("near", "100ms")):
            retry = RETRY | {"initial_delay": delay, "max_delay": delay}
            await client.webhook(
                id=name, url=f"{receiver.url}/{name}", events=[name], retry_policy=retry
            )
        async with asyncio.timeout(PATIENCE):
            while written.unconfirmed:  # of the registrations
                await asyncio.sleep(0.01)
        far, near = event("far"), event("near")
        await client.send(far)
        await receiver.until(1, "/far")
        await asyncio.sleep(0.2)
        assert written.unconfirmed == 1
        await client.send(near)
        await receiver.until(2, "/near")
        await client.until("far", far["id"], "retrying")


async def test_an_event_for_a_webhook_that_is_disabled_waits_for_others(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for a webhook with a rate limit, which the queue hands out, does not."""
    _only_what_is_urgent(monkeypatch)
    running = await start({})
    written = running.gateway.stages.adapters.ledger
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        await client.webhook(id="off", url=f"{receiver.url}/off", events=["off"], enabled=False)
        await client.webhook(
            id="slow",
            url=f"{receiver.url}/slow",
            events=["slow"],
            rate_limit={"events": 100, "per": "1s"},
        )
        held, limited = event("off"), event("slow")
        await client.send(held)
        async with asyncio.timeout(PATIENCE):
            while not written.unconfirmed:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        assert written.unconfirmed == 1
        await client.send(limited)
        await receiver.until(1, "/slow")
        await client.until("off", held["id"], "pending")
