"""The NATS and the Redis of an installation, for commands that work on what they store."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from event_gateway.app.server_logins import nats_login, redis_login
from event_gateway.broker.connection import Broker
from event_gateway.broker.connection import connect as connect_nats
from event_gateway.cli.client.place import endpoints_in
from event_gateway.config.model import Config
from event_gateway.core.errors import ServerRefused
from event_gateway.embedded.lock import DirectoryInUse, DirectoryLock
from event_gateway.embedded.servers import EmbeddedServerError, EmbeddedServers
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis


class ServersUnavailable(Exception):
    """The servers cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ServerConnections:
    """Connections to both servers. ``embedded``: the NATS is the gateway's own."""

    broker: Broker
    client: Redis
    embedded: bool


@contextlib.asynccontextmanager
async def reaching_servers(
    config: Config, data_dir: Path, *, while_running: bool
) -> AsyncIterator[ServerConnections]:
    """Connects to the configured servers; where none is configured, to the embedded one of the
    gateway that runs with this data directory, or, if none runs, to one that is started for it.

    ``while_running``: the gateway may be running. Raises ServersUnavailable.
    """
    urls = {"nats": config.nats.url, "redis": config.redis.place}
    async with contextlib.AsyncExitStack() as stack:
        try:
            if None in urls.values():
                urls |= await _embedded(
                    data_dir, urls, stack, while_running=while_running,
                    fsync=config.durability == "fsync",
                )  # fmt: skip
            broker = await connect_nats(
                urls["nats"] or "", login=nats_login(config) if config.nats.url else None
            )
            stack.push_async_callback(broker.close)
            login = redis_login(config) if config.redis.place else None
            client = await connect_redis(urls["redis"] or "", login)
            stack.push_async_callback(close_redis, client)
        except (ServerRefused, EmbeddedServerError, DirectoryInUse) as error:
            raise ServersUnavailable(str(error)) from None
        except OSError as error:
            where = data_dir.resolve()
            raise ServersUnavailable(
                f"the data directory {where} cannot be used: {error}"
            ) from None
        yield ServerConnections(broker, client, embedded=config.nats.url is None)


async def _embedded(
    data_dir: Path,
    urls: dict[str, str | None],
    stack: contextlib.AsyncExitStack,
    *,
    while_running: bool,
    fsync: bool,
) -> dict[str, str | None]:
    """The URLs of the embedded servers, for those that are not configured."""
    if while_running and not data_dir.is_dir():
        raise ServersUnavailable(
            f"there is no data directory {data_dir}: name it with --data-dir, or the servers in "
            "the configuration with -c"
        )
    lock = DirectoryLock(data_dir)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock.take()
    except DirectoryInUse:
        endpoints = endpoints_in(data_dir)
        if not while_running or not endpoints:
            raise
        return {name: url or endpoints[name] for name, url in urls.items()}
    stack.callback(lock.release)
    embedded = EmbeddedServers(
        data_dir, nats=urls["nats"] is None, valkey=urls["redis"] is None, fsync=fsync
    )
    stack.push_async_callback(embedded.stop)
    started = await embedded.start()
    return {"nats": urls["nats"] or started[0], "redis": urls["redis"] or started[1]}
