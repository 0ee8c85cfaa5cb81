"""Ordered webhooks that are deleted and registered again under the same id."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

POLICY = {"max_attempts": 5, "backoff": "fixed", "initial_delay": "3s"}


@pytest.fixture
async def store(gateway: Running) -> AsyncIterator[Redis]:
    async with Redis.from_url(gateway.redis_url) as redis:
        yield redis


async def _registered(client: Client, **definition: Any) -> None:
    """Registers the webhook as soon as a deletion of its id is done."""
    async with asyncio.timeout(PATIENCE):
        while (
            answer := await client.http.post("/v1/webhooks", json=definition)
        ).status_code == 409:
            await asyncio.sleep(0.05)
    assert answer.status_code == 201, answer.text


async def test_in_a_process_that_did_not_deliver_to_the_former_one(
    client: Client, receiver: Receiver, store: Redis
) -> None:
    """The deletion of the former webhook ends no delivery of the new one, and starts no attempt."""
    webhook = {"id": "w", "url": f"{receiver.url}/w", "events": ["user.*"], "ordered": True,
               "retry_policy": POLICY}  # fmt: skip
    await store.set("ordered:w", "another process")
    await _registered(client, **webhook)
    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    await _registered(client, **webhook)
    await store.delete("ordered:w")
    receiver.answers["/w"] = [500, 200]
    sent = event("user.a")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    # The task that delivers to it ends, and another task continues.
    patched = await client.http.patch("/v1/webhooks/w", json={"events": ["user.*", "other"]})
    assert patched.status_code == 200, patched.text
    await client.until("w", sent["id"], "succeeded")
    first, second = receiver.requests_to("/w")
    assert (first.status, second.status) == (500, 200)
    assert second.time - first.time >= 2.9, "the retry came before its time"


async def test_while_an_attempt_of_the_former_one_is_in_flight(
    client: Client, receiver: Receiver, store: Redis
) -> None:
    """The new webhook starts when the old one has ended, and keeps its position and lease."""
    webhook = {"id": "w", "url": f"{receiver.url}/w", "events": ["user.*"], "ordered": True}
    await _registered(client, **webhook)
    receiver.delays["/w"] = [2.0, 0.0]
    former, sent = event("user.a"), event("user.a")
    await client.send(former)
    await receiver.until(1, "/w")
    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    await _registered(client, **webhook)
    sequence = (await client.send(sent))["items"][0]["sequence"]
    await client.until("w", sent["id"], "succeeded")
    first, second = receiver.requests_to("/w")
    assert (first.json["id"], second.json["id"]) == (former["id"], sent["id"])
    assert second.time - first.time >= 1.9, "the former attempt had not ended yet"
    async with asyncio.timeout(PATIENCE):
        while await store.hget("position:w", "GATEWAY_EVENTS") != str(sequence).encode():
            await asyncio.sleep(0.05)
    assert await store.get("ordered:w") is not None
