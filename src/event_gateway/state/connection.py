"""The connection to Redis or Valkey, and what is demanded of the server."""

import asyncio
import time

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.urls import without_password

log = structlog.get_logger(__name__)

# What a call can fail with while Redis is away or starting.
StateError = (RedisError, OSError, TimeoutError)
PATIENCE = 30.0  # seconds for which a server that does not answer is waited for at the start


async def connect(url: str, patience: float = PATIENCE) -> "Redis":
    """A client with a checked server behind it. Raises ServerRefused."""
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
    try:
        await _answering(client, without_password(url), patience)
        await _check(client)
    except BaseException:
        await client.aclose()
        raise
    return client


async def _answering(client: Redis, shown: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            await client.ping()
            return
        except StateError as error:
            wrong = isinstance(error, (AuthenticationError, ResponseError))
            if isinstance(error, BusyLoadingError):
                # It is there, and a million deliveries take it a while to read.
                wrong, deadline = False, time.monotonic() + patience
            if wrong or time.monotonic() > deadline:
                raise ServerRefused(f"cannot work with Redis at {shown}: {error}") from None
            if not told:
                log.warning("Redis does not answer yet", url=shown, error=str(error),
                            seconds=patience)  # fmt: skip
                told = True
            await asyncio.sleep(0.5)


async def _check(client: Redis) -> None:
    try:
        memory = await client.info("memory")
        persistence = await client.info("persistence")
        cluster = await client.info("cluster")
    except StateError as error:
        raise ServerRefused(f"Redis does not tell how it is set up: {error}") from None
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ServerRefused(
            f"Redis has maxmemory-policy {policy}: it would drop the state of deliveries; "
            "set maxmemory-policy noeviction"
        )
    if cluster.get("cluster_enabled"):
        raise ServerRefused(
            "this Redis is a node of a Redis Cluster, which the gateway cannot use yet; "
            "point redis.url at a single server"
        )
    if not persistence.get("aof_enabled"):
        log.warning(
            "Redis keeps no append-only file: the state of deliveries is lost when it restarts; "
            "set appendonly yes"
        )
