"""Reads values that the gateway stores in Redis."""

from redis.asyncio import Redis


async def hget(store: Redis, key: str, field: str) -> bytes:
    """A field of a hash, which must exist."""
    value = await store.hget(key, field)
    assert isinstance(value, bytes), (key, field)
    return value
