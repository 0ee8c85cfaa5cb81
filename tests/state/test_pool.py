"""The pool of connections to Redis: one for calls in turn, bounded for many at a time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from event_gateway.core.text.urls import parse_server_url
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.pool import Pool
from support.patience import PATIENCE

MOST = 4


@pytest.fixture
async def client(servers: tuple[str, str]) -> AsyncIterator[Redis]:
    url = parse_server_url(servers[1]).encoded
    pool = Pool.from_url(url, max_connections=MOST, timeout=PATIENCE)
    redis = Redis.from_pool(pool)
    yield redis
    await redis.aclose()


async def _connections(client: Redis) -> int:
    """How many connections the server has."""
    return len(await client.client_list())


async def test_calls_in_turn_share_a_connection(client: Redis) -> None:
    before = await _connections(client)
    for number in range(20):
        await client.set("n", number)
    assert await client.get("n") == b"19"
    assert await _connections(client) == before


async def test_more_calls_than_connections_wait_for_each_other(client: Redis) -> None:
    before = await _connections(client)
    numbers = await asyncio.gather(*(client.incr("calls") for _ in range(50 * MOST)))
    assert sorted(numbers) == list(range(1, 50 * MOST + 1))
    assert await _connections(client) <= before - 1 + MOST


async def test_a_call_that_waits_is_given_a_connection_when_one_is_free(client: Redis) -> None:
    blocked = [asyncio.ensure_future(client.blpop([f"list-{n}"], 0)) for n in range(MOST)]
    waits = asyncio.ensure_future(client.get("n"))
    _, pending = await asyncio.wait([*blocked, waits], timeout=0.05)
    assert len(pending) == MOST + 1
    blocked[0].cancel()
    async with asyncio.timeout(PATIENCE):
        assert await waits is None
    for call in blocked:
        call.cancel()
    await asyncio.wait(blocked)
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(client.ping() for _ in range(2 * MOST))) == [True] * 2 * MOST


async def test_a_connection_that_the_server_has_closed_is_opened_again(
    client: Redis, servers: tuple[str, str]
) -> None:
    closed = await client.client_id()
    other = Redis.from_url(parse_server_url(servers[1]).encoded)
    assert await other.client_kill_filter(_id=str(closed)) == 1
    async with asyncio.timeout(PATIENCE):
        while not await _answers(client):
            await asyncio.sleep(0.05)
    assert await client.client_id() != closed
    await other.aclose()


async def test_the_first_call_after_the_server_has_closed_the_connections_succeeds(
    servers: tuple[str, str],
) -> None:
    client = await connect_redis(servers[1])
    other = Redis.from_url(parse_server_url(servers[1]).encoded)
    await other.client_kill_filter(skipme=True)
    idle = cast(Any, client.connection_pool)._available_connections
    assert idle
    async with asyncio.timeout(PATIENCE):
        while not all(connection._reader.at_eof() for connection in idle):
            await asyncio.sleep(0.01)
    assert await client.ping()
    await close_redis(client)
    await other.aclose()


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except RedisError:  # the end of the connection had not arrived yet
        return False
