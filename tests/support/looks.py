"""Waits until a gateway has seen what its streams hold, at which it looks every second."""

import asyncio
import json

from support.client import Client
from support.patience import PATIENCE


async def until_seen(client: Client, messages: int) -> None:
    """Returns once the gateway has looked at its streams when the events log held so many."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.http.get("/v1/health")).json()["components"]["streams"]
            if shown.get("log_messages") == messages:
                return
            await asyncio.sleep(0.05)


async def until_stored(client: Client, stream: str, messages: int) -> None:
    """Returns once a named stream holds so many messages: it copies them after they came in."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.http.get(f"/v1/streams/{stream}")).json()
            if shown["state"]["messages"] == messages:
                return
            await asyncio.sleep(0.05)


async def until_copied(client: Client, webhook_id: str, seq: int) -> None:
    """Returns once the copy of an ordered webhook's position in the events log is at ``seq``."""
    bucket = await client.nats.jetstream().key_value("GATEWAY_POSITIONS")
    async with asyncio.timeout(PATIENCE):
        while True:
            entry = await bucket.get(f"{webhook_id}.GATEWAY_EVENTS")
            if json.loads(entry.value or b"{}")["seq"] == seq:
                return
            await asyncio.sleep(0.05)
