"""Ordered webhooks: which process delivers to one, and how far it has come in each stream."""

from typing import Any, cast

from redis.asyncio import Redis

from event_gateway.state.scripts import script


class Order:
    """``holder`` names this process. Its methods raise what StateError names."""

    def __init__(self, client: Redis, holder: str, prefix: str = "") -> None:
        self._client = client
        self._holder = holder
        self._prefix = prefix
        self._hold = script(client, "hold.lua")

    async def hold(self, webhook_id: str, seconds: float) -> bool:
        """Takes or keeps the webhook for so long; False where another process has it."""
        key = f"{self._prefix}ordered:{webhook_id}"
        return bool(await self._hold(keys=[key], args=[self._holder, round(seconds * 1000)]))

    async def release(self, webhook_id: str) -> None:
        """Gives the webhook up, if this process has it."""
        if await self.hold(webhook_id, 1.0):
            await self._client.delete(f"{self._prefix}ordered:{webhook_id}")

    async def position(self, webhook_id: str, stream: str) -> int:
        """The sequence up to which all deliveries of that stream are done."""
        key = f"{self._prefix}position:{webhook_id}"
        return int(await cast(Any, self._client.hget(key, stream)) or 0)

    async def advance(self, webhook_id: str, stream: str, seq: int) -> None:
        """All deliveries up to that sequence are done."""
        await cast(Any, self._client.hset(f"{self._prefix}position:{webhook_id}", stream, str(seq)))

    async def forget(self, webhook_id: str) -> None:
        """The webhook is gone."""
        await self._client.delete(f"{self._prefix}position:{webhook_id}")
