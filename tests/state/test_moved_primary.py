"""Connections that are opened while another server becomes the primary, on a real Valkey."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from event_gateway.delivery.ordered import LEASE
from event_gateway.state.client import RedisClient
from event_gateway.state.connection import StateError, servers_of
from event_gateway.state.order import Order
from event_gateway.state.pool import Pool
from event_gateway.state.primary import Address, Primary
from event_gateway.state.scripts import script
from event_gateway.state.server_connection import ServerConnection
from event_gateway.state.servers import Servers
from support.patience import PATIENCE
from support.relay import Relay
from support.valkey_servers import Server, until


class Naming:
    """Names the primary, as Sentinels do."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __call__(self) -> Address:
        return "127.0.0.1", self.port


@pytest.fixture
async def relays(servers: tuple[str, str]) -> AsyncIterator[tuple[Relay, Relay]]:
    """The former and the new primary: two ways to one server."""
    port = urlsplit(servers[1]).port
    assert port
    async with Relay(port).running() as former, Relay(port).running() as new:
        yield former, new


@contextlib.asynccontextmanager
async def _connected(servers: tuple[str, str], naming: Naming) -> AsyncIterator[RedisClient]:
    primary = Primary(naming, check_role=True)

    async def nothing() -> None:
        pass

    found = Servers("redis-sentinel", primary, RedisClient, lambda: (), nothing)
    url = urlsplit(servers[1])
    pool = Pool(
        servers=found, connection_class=ServerConnection, primary=primary,
        username=url.username or None, password=url.password, socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )  # fmt: skip
    client = cast(RedisClient, RedisClient.from_pool(pool))
    try:
        yield client
    finally:
        await client.aclose()


async def _script(client: RedisClient) -> None:
    await script(client, "queues/may_be_due.lua")()


async def _command(client: RedisClient) -> None:
    await client.ping()


@pytest.mark.parametrize("call", [_script, _command])
async def test_a_connection_that_was_being_opened_is_not_kept(
    servers: tuple[str, str],
    relays: tuple[Relay, Relay],
    call: Callable[[RedisClient], Awaitable[None]],
) -> None:
    former, new = relays
    naming = Naming(former.port)
    async with _connected(servers, naming) as client:
        former.hold()
        opening = asyncio.ensure_future(call(client))
        async with asyncio.timeout(PATIENCE):
            while not former.connections:
                await asyncio.sleep(0.01)
        naming.port = new.port
        found = servers_of(client)
        assert found
        await found.primary.find()
        former.release()
        with pytest.raises(RedisConnectionError):
            await opening
        assert not new.connections
        await call(client)
        assert new.connections
        async with asyncio.timeout(PATIENCE):
            while former.connections:
                await asyncio.sleep(0.01)


async def test_a_former_primary_that_hangs_is_not_waited_for(
    servers: tuple[str, str], relays: tuple[Relay, Relay]
) -> None:
    """What it would confirm later is not on the new one."""
    former, new = relays
    naming = Naming(former.port)
    async with _connected(servers, naming) as client:
        await _script(client)
        former.hold()
        calling = asyncio.ensure_future(_script(client))
        await asyncio.sleep(0)
        naming.port = new.port
        found = servers_of(client)
        assert found
        await found.primary.find()
        with pytest.raises(RedisConnectionError):
            await calling
        assert not new.connections
        await _script(client)
        assert new.connections


@pytest.fixture
async def promoted(tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Two Valkeys, of which the second follows the first."""
    former, new = Server(tmp_path, "former"), Server(tmp_path, "new")
    new.write(f"replicaof 127.0.0.1 {former.port}\nrepl-diskless-sync-delay 0\n")
    try:
        for server in (former, new):
            server.start()
        await until(lambda: _follows(new), "the replica does not follow")
        yield former, new
    finally:
        new.kill()
        former.kill()


async def _follows(server: Server) -> bool:
    return bool((await server.ask("INFO", "replication"))["master_link_status"] == "up")


async def test_who_had_a_lease_last_keeps_it_on_a_server_that_does_not_know(
    promoted: tuple[Server, Server],
) -> None:
    """The replica that becomes the primary has a former holder of the lease, or none."""
    former, new = promoted
    naming, key = Naming(former.port), "ordered:w"
    servers = ("", f"redis://127.0.0.1:{former.port}")
    async with (
        _connected(servers, naming) as here,
        _connected(servers, naming) as there,
    ):
        first, last = Order(here, "first"), Order(there, "last")
        assert await first.lease("w", LEASE)

        async def has_the_lease() -> bool:
            return bool(await new.ask("GET", key) == b"first")

        await until(has_the_lease, "the lease does not arrive at the replica")
        await new.ask("REPLICAOF", "NO", "ONE")
        await first.release("w")
        assert await last.lease("w", LEASE)
        naming.port = new.port
        for client in (here, there):
            found = servers_of(client)
            assert found
            await found.primary.find()
        assert not await first.lease("w", LEASE), "two processes have the lease"
        assert not await first.lease("other", LEASE), "who has that is not known either"
        assert await last.lease("w", LEASE), "who had the lease has lost it"
        assert await new.ask("GET", key) == b"last"
        assert await last.lease("w", LEASE)
        await last.release("w")
        assert not await first.lease("w", LEASE), "the wait ends with the release"
        # As if the primary had moved so long ago that a lease of the time before has ended.
        for client in (here, there):
            servers_of(client).primary.moved_at -= LEASE  # type: ignore[union-attr]
        assert await first.lease("w", LEASE)
        assert not await last.lease("w", LEASE)


async def test_a_lease_that_is_asked_for_while_the_primary_moves(
    promoted: tuple[Server, Server],
) -> None:
    """The call itself finds the new primary, after it looked whether it had moved."""
    former, new = promoted
    naming = Naming(former.port)
    servers = ("", f"redis://127.0.0.1:{former.port}")
    async with _connected(servers, naming) as client:
        order = Order(client, "first")
        assert not await client.get("ordered:w")
        await new.ask("REPLICAOF", "NO", "ONE")
        former.kill()
        naming.port = new.port
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(*StateError):
                    assert not await order.lease("w", LEASE)
                    break
