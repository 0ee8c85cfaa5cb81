"""Looks that find nothing new are rarer, and see what changes all the same."""

import asyncio

import pytest
from nats.js.errors import NotFoundError

from event_gateway.app.stream_upkeep import StreamUpkeep
from event_gateway.routing.repair import Repair
from support.bus import connect_bus
from support.client import connected, event
from support.fixtures import Start
from support.patience import PATIENCE

REJECTED = "GATEWAY_REJECTED"


async def test_a_stream_is_deleted_after_looks_that_found_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    calm, acknowledged = asyncio.Event(), asyncio.Event()
    look = Repair._look

    async def noted(repair: Repair) -> bool:
        is_calm = await look(repair)
        (calm if is_calm else acknowledged).set()
        return is_calm

    monkeypatch.setattr(Repair, "_look", noted)
    running = await start({})
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        async with asyncio.timeout(PATIENCE):
            await client.send(event("a"))  # before the first one is acknowledged none is written
            await calm.wait()
            acknowledged.clear()
            await client.send(event("a"))
            await acknowledged.wait()
