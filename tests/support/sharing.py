"""What tests that share a gateway, or NATS and Valkey, do between them."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis
from support.bus import connect_bus
from support.http_transport import PlainTransport
from support.patience import PATIENCE

_LISTS = {"webhooks": "id", "streams": "name", "secrets": "name", "sources": "name"}


def shares(test: pytest.Item) -> bool:
    """Whether a test uses what other tests of its module use too."""
    marked = [mark.name for mark in test.iter_markers() if mark.name in ("shared", "alone")]
    return "shared" in marked and "alone" not in marked


@contextlib.contextmanager
def test_directory() -> Iterator[Path]:
    """A directory for what several tests share, deleted at the end."""
    parent = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="pytest-shared-", dir=parent) as directory:
        yield Path(directory)


async def empty(gateway: Running) -> None:
    """Deletes the webhooks, streams, secrets and sources of a gateway, and waits until they are
    gone."""
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with (
        httpx.AsyncClient(
            base_url=gateway.http_url, headers=headers, timeout=PATIENCE, transport=PlainTransport()
        ) as http,
        asyncio.timeout(PATIENCE),
    ):
        for path, name in _LISTS.items():
            asked: set[str] = set()
            while items := (await http.get(f"/v1/{path}")).json()["items"]:
                for named in {item[name] for item in items} - asked:
                    await http.delete(f"/v1/{path}/{named}")
                    asked.add(named)
                await asyncio.sleep(0.05)


async def empty_servers(nats_url: str, redis_url: str) -> None:
    """Deletes all streams of a NATS, and all keys of a Valkey."""
    bus = await connect_bus(nats_url)
    js: Any = bus.jetstream()
    for stream in await js.streams_info():
        await js.delete_stream(stream.config.name)
    await bus.close()
    redis = await connect_redis(redis_url)
    await redis.flushall()
    await close_redis(redis)
