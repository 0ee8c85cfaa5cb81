"""The connection to Redis or Valkey, and the requirements that the server must meet."""

import asyncio
import time

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import BusyLoadingError, RedisError

from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.urls import parse_server_url, without_password
from event_gateway.state.login import RedisLogin
from event_gateway.state.permissions import missing_permissions
from event_gateway.state.pool import Pool
from event_gateway.state.refusal import refusal_of

log = structlog.get_logger(__name__)

# The exceptions that a call can raise while Redis is away or starting. The client makes its own of
# those of sockets and of waiting too long, so none of them is one of a call to NATS.
StateError = (RedisError,)
NO_APPEND_ONLY_FILE = (
    "Redis has no append-only file: the state of deliveries is lost when it restarts"
)
START_TIMEOUT = 30.0  # seconds for which the start waits for a server that does not respond


async def connect(
    url: str, login: RedisLogin | None = None, timeout: float = START_TIMEOUT
) -> "Redis":
    """Connects, waiting up to ``timeout`` seconds for the server, and checks the server.

    Raises ServerRefused if the server does not respond, or does not meet the requirements.
    """
    login = login or RedisLogin()
    server = parse_server_url(url).encoded
    if login.tls is not None:
        # The client would let the URL's scheme overrule the class of connections.
        server = server.replace("rediss://", "redis://", 1)
    # If all connections are in use, a call waits for a free connection instead of failing.
    pool = Pool.from_url(
        server,
        max_connections=32,
        timeout=5,
        socket_timeout=5.0,
        socket_connect_timeout=3.0,
        health_check_interval=0,
        driver_info=DriverInfo(),  # one for all: each reads the version from the package's files
        retry=Retry(NoBackoff(), 0),  # the callers retry, and know which calls can be retried
        **login.options(),
    )
    client = Redis.from_pool(pool)
    try:
        await _wait_until_ready(client, url, login, timeout)
        await _check(client)
    except BaseException:
        await client.aclose()
        raise
    return client


async def _wait_until_ready(client: Redis, url: str, login: RedisLogin, timeout: float) -> None:
    shown = without_password(url)
    deadline = time.monotonic() + timeout
    warned = False
    while True:
        try:
            await client.ping()
            return
        except StateError as error:
            refusal, certain = None, False
            if isinstance(error, BusyLoadingError):
                # The server is loading its data: a million deliveries take a while.
                deadline = time.monotonic() + timeout
            else:
                refusal, certain = await refusal_of(error, url, login)
            if certain or time.monotonic() > deadline:
                raise ServerRefused(
                    f"cannot connect to Redis at {shown}: {refusal or error}"
                ) from None
            if not warned:
                log.warning("Redis does not respond yet", url=shown, error=str(error),
                            seconds=timeout)  # fmt: skip
                warned = True
            await asyncio.sleep(0.5)


async def _check(client: Redis) -> None:
    missing = await missing_permissions(client)
    if missing:
        raise ServerRefused(f"redis.username: Redis does not allow this user {', '.join(missing)}")
    try:
        memory = await client.info("memory")
        persistence = await client.info("persistence")
        cluster = await client.info("cluster")
    except StateError as error:
        raise ServerRefused(f"the configuration of Redis cannot be read: {error}") from None
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ServerRefused(
            f"Redis has maxmemory-policy {policy} and could drop the state of deliveries; "
            "set maxmemory-policy noeviction"
        )
    if cluster.get("cluster_enabled"):
        raise ServerRefused(
            "this Redis is a node of a Redis Cluster, which the gateway does not support yet; "
            "point redis.url at a single server"
        )
    if not persistence.get("aof_enabled"):
        log.warning(f"{NO_APPEND_ONLY_FILE}; set appendonly yes")
