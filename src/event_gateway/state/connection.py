"""The connection to Redis or Valkey."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

# What a call can fail with while Redis is away or starting.
StateError = (RedisError, OSError, TimeoutError)


class ServerRefused(Exception):
    """The server is set up so that deliveries could be lost; the text says what to change."""


async def connect(url: str) -> "Redis":
    """A client with a checked server behind it. Raises ServerRefused, or what StateError names."""
    # Who finds all connections in use waits for one: that is no outage.
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=5,
        socket_timeout=5.0,
        socket_connect_timeout=3.0,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),  # the callers repeat, and know what may be repeated
    )
    client = Redis.from_pool(pool)
    memory = await client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        await client.aclose()
        raise ServerRefused(
            f"Redis has maxmemory-policy {policy}: it would drop the state of deliveries; "
            "set maxmemory-policy noeviction"
        )
    return client
