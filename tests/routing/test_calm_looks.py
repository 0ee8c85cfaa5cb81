"""Looks that find nothing new are rarer, and see what changes all the same."""

import asyncio

import pytest
from nats.js.errors import NotFoundError
from redis.asyncio import Redis

from event_gateway.app import stream_upkeep
from event_gateway.app.stream_upkeep import StreamUpkeep
from event_gateway.routing.repair import Repair
from event_gateway.state.keys import CHECKPOINT
from support.bus import connect_bus
from support.client import connected, event
from support.fixtures import Start
from support.patience import PATIENCE

REJECTED = "GATEWAY_REJECTED"


async def test_a_stream_is_deleted_after_looks_that_found_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_upkeep, "LOOKED_AGAIN", 3600.0)
    calm, look = asyncio.Event(), StreamUpkeep._look

    async def noted(upkeep: StreamUpkeep) -> bool:
        found_nothing = await look(upkeep)
        if found_nothing:
            calm.set()
        return found_nothing

    monkeypatch.setattr(StreamUpkeep, "_look", noted)
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
    calm, look = asyncio.Event(), Repair._look

    async def noted(repair: Repair) -> bool:
        is_calm = await look(repair)
        if is_calm:
            calm.set()
        return is_calm

    monkeypatch.setattr(Repair, "_look", noted)
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
