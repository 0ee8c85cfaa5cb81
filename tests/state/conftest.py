"""What the tests of the stored state share."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from event_gateway.state.connection import connect


@pytest.fixture
async def redis(servers: tuple[str, str]) -> AsyncIterator[Redis]:
    """A client of the Valkey of ``servers``."""
    client = await connect(servers[1])
    yield client
    await client.aclose()
