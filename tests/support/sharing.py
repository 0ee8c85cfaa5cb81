"""What tests that share a gateway, or NATS and Valkey, do between them."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis
from support.bus import connect_bus
from support.http_transport import PlainTransport
from support.patience import PATIENCE

T = TypeVar("T")
FAILED = pytest.StashKey[bool]()  # of a test: whether its setup or the test itself has failed
# The last deletion of a test goes on for a moment after its answer.
BEING_DELETED, CHANGED = "/problems/being-deleted", "/problems/changed-in-between"
# By their place in the API: where the registry has them. Secrets are last: nothing may use them.
_KINDS = {
    "webhooks": "webhooks", "sources": "sources", "streams": "streams",
    "event-types": "event_types", "secrets": "secrets",
}  # fmt: skip


def shares(test: pytest.Item) -> bool:
    """Whether a test uses what other tests of its module use too."""
    marked = [mark.name for mark in test.iter_markers() if mark.name in ("shared", "alone")]
    return "shared" in marked and "alone" not in marked


class Shared(Generic[T]):
    """What tests of a module share. After a test that failed, or that left what cannot be deleted,
    it is ended, and the next test gets another one: a test fails only by its own fault."""

    def __init__(
        self,
        begin: Callable[[Path], contextlib.AbstractAsyncContextManager[T]],
        empty: Callable[[T], Awaitable[None]],
    ) -> None:
        """``begin`` starts it, with its data in a directory; ``empty`` deletes what a test left."""
        self._begin = begin
        self._empty = empty
        self._stack = contextlib.AsyncExitStack()
        self._present: T | None = None

    @contextlib.asynccontextmanager
    async def lent(self, test: pytest.Item) -> AsyncIterator[T]:
        """Lends it to a test."""
        if self._present is None:
            directory = self._stack.enter_context(_directory())
            self._present = await self._stack.enter_async_context(self._begin(directory))
        yield self._present
        if test.stash.get(FAILED, False):
            await self.end()
            return
        try:
            await self._empty(self._present)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        self._present = None
        await self._stack.aclose()


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    parent = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="pytest-shared-", dir=parent) as directory:
        yield Path(directory)


async def empty(gateway: Running) -> None:
    """Deletes the webhooks, streams, secrets, sources and event types of a gateway, but not those
    of its configuration file, and waits until they are gone. Raises AssertionError if the gateway
    refuses that."""
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    registry = gateway.gateway.stages.adapters.registry
    async with (
        httpx.AsyncClient(
            base_url=gateway.http_url, headers=headers, timeout=PATIENCE, transport=PlainTransport()
        ) as http,
        asyncio.timeout(PATIENCE),
    ):
        for path, kind in _KINDS.items():
            asked: set[str] = set()
            while names := _can_be_deleted(getattr(registry, kind)):
                for name in names - asked:
                    deleted = await http.delete(f"/v1/{path}/{quote(name, safe='')}")
                    if deleted.status_code not in (204, 404):
                        problem = deleted.json()["type"]
                        assert problem in (BEING_DELETED, CHANGED), deleted.text
                        if problem == CHANGED:
                            continue  # it is asked for once more
                    asked.add(name)
                await asyncio.sleep(0.01)


def _can_be_deleted(registered: Mapping[str, Any]) -> set[str]:
    return {
        name for name, item in registered.items() if getattr(item, "managed_by", "api") != "file"
    }


async def empty_servers(urls: tuple[str, str]) -> None:
    """Deletes all streams of a NATS, and all keys of a Valkey."""
    nats_url, redis_url = urls
    bus = await connect_bus(nats_url)
    js: Any = bus.jetstream()
    for stream in await js.streams_info():
        await js.delete_stream(stream.config.name)
    await bus.close()
    redis = await connect_redis(redis_url)
    await redis.flushall()
    await close_redis(redis)
