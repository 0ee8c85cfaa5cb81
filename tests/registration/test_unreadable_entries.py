"""Entries of the registry of which nothing can be made, and a watch of the registry that stalls."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.broker import registry_bucket
from event_gateway.cli.process.serve import Running
from event_gateway.delivery import due_loop
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared

SHAPELESS = [
    b"no JSON", b'{"v":3}', b"[]", b'{"v":3,"webhook":{"id":"w","url":1}}',
    b'{"v":3,"webhook":{"id":"another","url":"http://127.0.0.1:1/","events":["a"]}}',
]  # fmt: skip


async def _store(client: Client, key: str, value: bytes) -> None:
    """Writes an entry, and returns once the gateway has found that it cannot be read."""
    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    await bucket.put(key, value)
    async with asyncio.timeout(PATIENCE):
        while key not in str(await _reasons(client)):
            await asyncio.sleep(0.05)


async def _well(client: Client) -> None:
    """Waits until nothing is wrong: what is new may look gone to a check that has just begun."""
    async with asyncio.timeout(PATIENCE):
        while await _reasons(client):
            await asyncio.sleep(0.05)


async def _reasons(client: Client) -> list[str]:
    return list((await client.http.get("/readyz")).json()["reasons"])


@pytest.mark.parametrize("value", SHAPELESS)
async def test_a_webhook_of_no_shape_is_replaced_or_deleted(
    client: Client, receiver: Receiver, value: bytes
) -> None:
    definition = {"url": f"{receiver.url}/w", "events": ["a"]}
    await _store(client, "webhook.w", value)
    replaced = await client.http.put("/v1/webhooks/w", json=definition)
    assert replaced.status_code == 200, replaced.text
    await _well(client)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "succeeded")
    await _store(client, "webhook.x", value.replace(b'"w"', b'"x"'))
    assert (await client.http.delete("/v1/webhooks/x")).status_code == 204
    await _well(client)
    assert (await client.http.get("/v1/webhooks/x")).status_code == 404
    await client.webhook(id="x", **definition)


async def test_others_of_no_shape_are_replaced_or_deleted(client: Client) -> None:
    http = client.http
    created: list[tuple[str, str, str, dict[str, Any]]] = [
        ("stream.s", "/v1/streams/s", "POST /v1/streams", {"name": "s", "subjects": ["a"]}),
        ("secret.t", "/v1/secrets/t", "PUT /v1/secrets/t", {"value": "x" * 24}),
        ("type.a.b", "/v1/event-types/a.b", "POST /v1/event-types", {"type": "a.b"}),
    ]
    for key, path, create, body in created:
        await _store(client, key, b"no JSON")
        method, _, url = create.partition(" ")
        answer = await http.request(method, url, json=body)
        assert answer.status_code in (200, 201, 204), answer.text
        await _well(client)
        assert (await http.delete(path)).status_code == 204
        await _store(client, key, b"no JSON")
        assert (await http.delete(path)).status_code == 204
        await _well(client)
        assert (await http.delete(path)).status_code == 404


async def test_deliveries_of_a_webhook_that_cannot_be_read_wait(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not cancelled as those of a deleted webhook, and those not at once."""
    monkeypatch.setattr(due_loop, "UNKNOWN", 1.5)
    gateway = await start()
    client: Client = await connect(gateway)
    await _store(client, "webhook.w", b"no JSON")
    async with Redis.from_url(gateway.redis_url) as store:
        began = time.monotonic()
        await store.zadd("queue:w", {"e-1": 1})
        await store.zadd("due", {"w": 1})
        await store.zadd("queue:unknown", {"e-1": 1})
        await store.zadd("due", {"unknown": 1})
        async with asyncio.timeout(PATIENCE):
            while await store.exists("queue:unknown"):  # the due loop has looked at both
                await asyncio.sleep(0.05)
        assert time.monotonic() - began >= 1.0
        assert await store.exists("queue:w")
        assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
        assert not await store.exists("queue:w")


async def test_a_watch_that_has_stalled_is_seen_and_started_again(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_bucket, "CHECK_INTERVAL", 0.2)
    gateway: Running = await start()
    client: Client = await connect(gateway)

    async def stalled(*_: Any, **__: Any) -> AsyncGenerator[list[Any]]:
        await asyncio.Event().wait()
        yield []

    with monkeypatch.context() as patch:
        patch.setattr(registry_bucket, "follow_stream", stalled)
        watch = gateway.gateway.stages.adapters.registry._bucket._watch
        assert watch is not None
        watch.cancel()  # the supervisor takes it for a crash, and starts it again
        definition = {"id": "w", "url": f"{receiver.url}/w", "events": ["a"]}
        bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
        await bucket.put("webhook.w", json.dumps({"v": 3, "webhook": definition}).encode())
        reason = "the registry cannot be followed: changes are not applied"
        async with asyncio.timeout(PATIENCE):
            while reason not in await _reasons(client):
                await asyncio.sleep(0.05)
    async with asyncio.timeout(PATIENCE):
        while reason in await _reasons(client):
            await asyncio.sleep(0.05)
    assert (await client.http.get("/v1/webhooks/w")).status_code == 200
