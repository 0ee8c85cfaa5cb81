"""Waits until a gateway has written its checkpoint, which it does every second."""

import asyncio

import redis.asyncio
from nats.aio.client import Client as Nats

from event_gateway.state.keys import CHECKPOINT
from support.patience import PATIENCE


async def until_checkpointed(redis_url: str, bus: Nats) -> int:
    """Returns once the checkpoint is at the end of the log; returns that sequence."""
    js = bus.jetstream()
    async with redis.asyncio.from_url(redis_url) as state, asyncio.timeout(PATIENCE):
        while True:
            last = (await js.stream_info("GATEWAY_EVENTS")).state.last_seq
            stored = await state.hget(CHECKPOINT.key(), "GATEWAY_EVENTS")
            if last and stored == b"%d" % last:
                return int(last)
            await asyncio.sleep(0.05)
