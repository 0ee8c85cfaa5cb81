"""Looks that find nothing new are rarer, and see what changes all the same."""

import asyncio
from typing import Any

import pytest
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, NotFoundError
from redis.asyncio import Redis

from event_gateway.app import stream_upkeep
from event_gateway.app.stream_upkeep import StreamUpkeep
from event_gateway.beats import beat
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.registry import Registry
from event_gateway.broker.registry_bucket import BUCKET
from event_gateway.routing.repair import Repair
from event_gateway.state.keys import CHECKPOINT
from support.bus import connect_bus
from support.client import connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver

REJECTED = "GATEWAY_REJECTED"


def _calm(monkeypatch: pytest.MonkeyPatch, owner: type[StreamUpkeep | Repair]) -> asyncio.Event:
    """Is set when a look of an object of this class has found nothing new."""
    calm, look = asyncio.Event(), owner._look

    async def noted(looking: Any) -> bool:
        found_nothing = await look(looking)
        if found_nothing:
            calm.set()
        return found_nothing

    monkeypatch.setattr(owner, "_look", noted)
    return calm


async def test_a_stream_is_deleted_after_looks_that_found_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_upkeep, "LOOKED_AGAIN", 3600.0)
    calm = _calm(monkeypatch, StreamUpkeep)
    running = await start({})
    bus = await connect_bus(running.nats_url)
    try:
        js = bus.jetstream()
        async with asyncio.timeout(PATIENCE):
            await calm.wait()
            before = (await js.stream_info(REJECTED)).created
            await js.delete_stream(REJECTED)
            while True:
                try:
                    assert (await js.stream_info(REJECTED)).created != before
                except NotFoundError:
                    await asyncio.sleep(0.05)
                else:
                    break
    finally:
        await bus.close()


async def test_checkpoints_are_written_again_once_events_come(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = _calm(monkeypatch, Repair)
    running = await start({})
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        Redis.from_url(running.redis_url) as redis,
        asyncio.timeout(PATIENCE),
    ):
        for seq in (1, 2):
            await client.send(event("a"))
            while await redis.hget(CHECKPOINT.key(), "GATEWAY_EVENTS") != b"%d" % seq:
                await asyncio.sleep(0.05)
            calm.clear()
            await calm.wait()


async def test_a_bucket_that_cannot_be_restored_at_once_is_restored_later(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client has created the bucket of the registry again, and the first try fails."""
    may_look, look, restore = asyncio.Event(), StreamUpkeep._look, Registry.restore
    tries = 0

    async def held(upkeep: StreamUpkeep) -> bool:
        await may_look.wait()
        return await look(upkeep)

    async def fail_once(registry: Registry) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ProvisionError("not yet")
        await restore(registry)

    running = await start({})
    may_look.set()
    monkeypatch.setattr(StreamUpkeep, "_look", held)
    monkeypatch.setattr(Registry, "restore", fail_once)
    bus = await connect_bus(running.nats_url)
    try:
        js = bus.jetstream()
        async with (
            connected(running.http_url, running.nats_url, running.admin_key) as client,
            asyncio.timeout(PATIENCE),
        ):
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
            await beat(1.0)  # a look that has begun before is over
            may_look.clear()
            await js.delete_key_value(BUCKET)
            await js.create_key_value(bucket=BUCKET)
            may_look.set()
            while True:
                try:
                    await (await js.key_value(BUCKET)).get("webhook.w")
                except (BucketNotFoundError, KeyNotFoundError):
                    await asyncio.sleep(0.05)
                else:
                    break
    finally:
        await bus.close()
    assert tries == 2
