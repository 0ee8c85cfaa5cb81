"""Looks at Redis: as the gateway does when it starts, and at persistence and memory."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from redis.asyncio import Redis

from event_gateway.app.server_logins import redis_login
from event_gateway.cli.doctor.finding import (
    Area,
    ClockReading,
    Finding,
    Installation,
    remedy_for,
)
from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.units import format_size
from event_gateway.core.text.urls import SENTINEL, without_password
from event_gateway.state.condition import condition_of
from event_gateway.state.connection import (
    NO_APPEND_ONLY_FILE,
    StateError,
    close,
    connect,
    servers_of,
)
from event_gateway.state.servers import Servers

CONNECT_TIMEOUT = 3.0  # seconds
NEARLY = 0.9  # of a limit
_area = Area("redis")
# What to do about a refusal, by words of its text.
_REMEDIES = (
    ("does not allow this user", "Give the user the rights in docs/operations.md, \"The least "
     "permissions in Redis\"."),
    ("maxmemory-policy", "Set maxmemory-policy noeviction (CONFIG SET, and in its file)."),
    ("Cluster", "Name nodes of it in redis.cluster.servers instead of redis.url."),
    ("redis.", "Correct this key of the configuration, or the user on the server."),
)  # fmt: skip
_AWAY = "Start Redis, mend the network to it, or correct redis.url."


async def examine_redis(installation: Installation) -> AsyncIterator[Finding]:
    """Connects, and looks at server, rights, persistence, memory and clock."""
    url = installation.server_url("redis")
    if url is None:
        yield installation.unknown_server("redis")
        return
    login, away = None, installation.start_server("redis", _AWAY)
    if installation.config is not None and installation.config.redis.place:
        login = redis_login(installation.config)
    try:
        client = await connect(url, login, CONNECT_TIMEOUT)
    except ServerRefused as error:
        text = str(error)
        yield _area.error(text, remedy_for(text, _REMEDIES, away))
        return
    except StateError as error:
        yield _area.error(condition_of(error), away)
        return
    try:
        info = await client.info()
        name = "Valkey" if "valkey_version" in info else "Redis"
        version = info.get("valkey_version") or info.get("redis_version")
        yield _area.ok(f"{without_password(url)} answers, {name} {version}")
        for finding in faults_of_servers(servers_of(client), info):
            yield finding
        yield _area.ok("the user has all rights that the gateway uses; no record is evicted")
        for finding in faults_of_server(info):
            yield finding
        installation.clocks.append(await _clock(client))
    except StateError as error:
        yield _area.error(condition_of(error), away)
    finally:
        await close(client)


def faults_of_servers(servers: Servers | None, info: dict[str, Any]) -> Iterator[Finding]:
    """How several servers are, by the answer of the primary to INFO; nothing of a single one."""
    if servers is None:
        return
    replicas = int(info.get("connected_slaves", 0))
    primary = servers.primary.url.removeprefix("redis://")
    if replicas:
        yield _area.ok(f"the primary is {primary}; replicas that follow it: {replicas}")
    else:
        yield _area.warning(
            f"the primary, {primary}, has no replica: if it fails, no delivery can be recorded",
            "Add a replica, or start the one that has stopped.",
        )
    if servers.kind == SENTINEL and "min_slaves_good_slaves" not in info:
        yield _area.warning(
            "a primary that is cut off from its replicas goes on taking writes, which are lost "
            "after the failover",
            "Set min-replicas-to-write 1 (with 2 replicas or more): docs/operations/redis.md.",
        )


def faults_of_server(info: dict[str, Any]) -> Iterator[Finding]:
    """How persistence and memory are, by the answer to INFO."""
    if info.get("role") == "slave":
        yield _area.error(
            "it is a read-only replica: no delivery can be recorded",
            "Point redis.url at the primary server, or name Sentinels in redis.sentinel.",
        )
    failed = [
        what
        for what, key in (("its snapshot", "rdb_last_bgsave_status"),
                          ("its append-only file", "aof_last_write_status"))
        if info.get(key, "ok") != "ok"
    ]  # fmt: skip
    if failed:
        yield _area.error(
            f"it cannot write {' and '.join(failed)}", "Free room on its disk, and look at its log."
        )
    elif not info.get("aof_enabled"):
        yield _area.warning(
            NO_APPEND_ONLY_FILE, "Set appendonly yes (CONFIG SET, and in its file)."
        )
    else:
        yield _area.ok("it writes an append-only file")
    used, most = info.get("used_memory", 0), info.get("maxmemory", 0)
    if most and used >= most:
        yield _area.error(
            f"it uses all of its {format_size(most)}, and refuses to write", "Raise maxmemory."
        )
    elif most and used > NEARLY * most:
        yield _area.warning(
            f"it uses {format_size(used)} of {format_size(most)}: beyond, it refuses to write",
            "Raise maxmemory.",
        )
    else:
        limit = f" of {format_size(most)}" if most else ", without a limit of its own"
        yield _area.ok(f"it uses {format_size(used)}{limit}")


async def _clock(client: Redis) -> ClockReading:
    began, at = time.monotonic(), time.time()
    seconds, micros = await client.time()
    took = time.monotonic() - began
    return ClockReading("Redis", at + took / 2 - (seconds + micros / 1e6), took / 2)
