"""Connections that are opened while another server becomes the primary, on a real Valkey."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast
from urllib.parse import urlsplit

import pytest

from event_gateway.state.client import Client
from event_gateway.state.connection import servers_of
from event_gateway.state.pool import Pool
from event_gateway.state.primary import Address, NoPrimary, Primary
from event_gateway.state.scripts import script
from event_gateway.state.server_connection import ServerConnection
from event_gateway.state.servers import Servers
from support.patience import PATIENCE
from support.relay import Relay


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
async def _connected(servers: tuple[str, str], naming: Naming) -> AsyncIterator[Client]:
    primary = Primary(naming, check_role=True)

    async def nothing() -> None:
        pass

    found = Servers("redis-sentinel", primary, Client, lambda: (), nothing)
    url = urlsplit(servers[1])
    pool = Pool(
        servers=found, connection_class=ServerConnection, primary=primary,
        username=url.username or None, password=url.password, socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )  # fmt: skip
    client = cast(Client, Client.from_pool(pool))
    primary.moved = client.leave
    try:
        yield client
    finally:
        await client.aclose()


async def _script(client: Client) -> None:
    await script(client, "queues/may_be_due.lua")()


async def _command(client: Client) -> None:
    await client.ping()


@pytest.mark.parametrize("call", [_script, _command])
async def test_a_connection_that_was_being_opened_is_not_kept(
    servers: tuple[str, str],
    relays: tuple[Relay, Relay],
    call: Callable[[Client], Awaitable[None]],
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
        with pytest.raises(NoPrimary):
            await opening
        assert not new.connections
        await call(client)
        assert new.connections
        async with asyncio.timeout(PATIENCE):
            while former.connections:
                await asyncio.sleep(0.01)
