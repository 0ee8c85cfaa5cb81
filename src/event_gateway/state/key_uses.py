"""When each API key was last used, written by all processes together."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from event_gateway.state.keys import KEYS_USED


class KeyUses:
    """Times in seconds since the epoch, by the ids of keys. Methods raise what StateError names."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def write(self, used: Mapping[str, float]) -> None:
        """Stores when keys were used. Of two processes the later one to write wins."""
        values: dict[Any, Any] = {key_id: int(time * 1000) for key_id, time in used.items()}
        await cast(Any, self._client.hset(KEYS_USED.key(), mapping=values))

    async def read(self, key_ids: Sequence[str]) -> dict[str, float]:
        """When these keys were used, of those that ever were."""
        if not key_ids:
            return {}
        values = await cast(Any, self._client.hmget(KEYS_USED.key(), list(key_ids)))
        return {
            key_id: int(value) / 1000
            for key_id, value in zip(key_ids, values, strict=True)
            if value is not None
        }

    async def forget(self, key_id: str) -> None:
        """Deletes the time of a revoked key."""
        await cast(Any, self._client.hdel(KEYS_USED.key(), key_id))
