"""The connection to Redis or Valkey, and the requirements that the server must meet."""

import asyncio
import time
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import BusyLoadingError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.urls import CLUSTER, parse_server_url, without_password
from event_gateway.state.client import RedisClient
from event_gateway.state.keys import FORMAT
from event_gateway.state.login import RedisLogin
from event_gateway.state.permissions import missing_permissions
from event_gateway.state.pool import Pool
from event_gateway.state.refusal import refusal_of
from event_gateway.state.server_connection import ServerConnection
from event_gateway.state.servers import Servers, servers_at

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
    servers = servers_at(url, login)
    kind = RedisClient if servers is None else servers.client
    client = cast(RedisClient, kind.from_pool(_pool(url, login, servers)))
    try:
        await _wait_until_ready(client, url, login, timeout)
        await _check(client)
    except BaseException:
        await close(client)
        raise
    return client


def _pool(url: str, login: RedisLogin, servers: Servers | None) -> Pool:
    # If all connections are in use, a call waits for a free connection instead of failing.
    settings: dict[str, Any] = {
        "max_connections": 32,
        "timeout": 5,
        "socket_timeout": 5.0,
        "socket_connect_timeout": 3.0,
        "health_check_interval": 0,
        "driver_info": DriverInfo(),  # one for all: each reads the version from the package's files
        # With them the client does not look whether the server has closed an idle connection: the
        # first call after a restart of the server would fail.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "retry": Retry(NoBackoff(), 0),  # the callers retry, and know which calls can be retried
        **login.options(),
    }
    if servers is not None:
        settings |= {"connection_class": ServerConnection, "primary": servers.primary}
        return Pool(servers=servers, **settings)
    server = parse_server_url(url).encoded
    if login.tls is not None:
        # The client would let the URL's scheme overrule the class of connections.
        server = server.replace("rediss://", "redis://", 1)
    return Pool.from_url(server, **settings)


def servers_of(client: Redis) -> Servers | None:
    """The servers between which the client's connections move; None if there is one server."""
    pool = client.connection_pool
    return pool.servers if isinstance(pool, Pool) else None


def servers_behind(client: Redis) -> list[tuple[str, int]]:
    """Host and port of the servers that were found beside those of the URL."""
    servers = servers_of(client)
    return [] if servers is None else sorted(servers.found())


async def close(client: Redis) -> None:
    """Closes a client, and what it asks for the primary."""
    await client.aclose()
    if (servers := servers_of(client)) is not None:
        await servers.close()


async def _wait_until_ready(client: Redis, url: str, login: RedisLogin, timeout: float) -> None:
    shown, servers = without_password(url), servers_of(client)
    deadline = time.monotonic() + timeout
    warned = False
    while True:
        try:
            await client.ping()
            if servers is not None:
                await client.exists(FORMAT.key())  # a node of a cluster that is down answers PING
            return
        except StateError as error:
            refusal, certain = None, False
            if isinstance(error, BusyLoadingError):
                # The server is loading its data: a million deliveries take a while.
                deadline = time.monotonic() + timeout
            else:
                asked = url if servers is None else servers.primary.url
                refusal, certain = await refusal_of(error, asked, login)
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
    servers = servers_of(client)
    if cluster.get("cluster_enabled") and (servers is None or servers.kind != CLUSTER):
        raise ServerRefused(
            "this Redis is a node of a Redis Cluster: name its nodes in redis.cluster.servers"
        )
    if not persistence.get("aof_enabled"):
        log.warning(f"{NO_APPEND_ONLY_FILE}; set appendonly yes")
