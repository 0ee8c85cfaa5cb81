"""footprint: the time until the gateway is ready, and its memory.

The servers run already. Ready: /readyz returns 200; the time is from the start of the process, in
seconds. RSS in MiB, one second later. This is measured in every turn; only in the first turn:

- the same with many webhooks in the registry, with mixed patterns, and the RSS that each adds, in
  bytes, once Redis has its copy of each. The bench writes them with the gateway's own Registry,
  many at a time: over the API, request by request, it takes 25 times as long;
- live subscribers, each a WebSocket with one subscription, and the RSS that each adds, in bytes,
once
  it has received an event.
"""

import asyncio
import contextlib
import json
import resource
import time
import urllib.error
from collections.abc import AsyncIterator
from typing import Any

import nats
import websockets
from redis.asyncio import Redis

from bench import load
from bench.figures import Figures, memory
from bench.programs import Program, beside, program, servers
from bench.receiver import Receiver
from bench.sizes import Sizes
from event_gateway.broker.connection import connect
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.broker.stream_list import StreamList
from event_gateway.core.matching.filter import Filter
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.keys import WEBHOOK
from event_gateway.tasks import Supervisor

STREAM = "bench"  # the stream of all subscriptions
TYPE = "bench.made"
CONCURRENT_WRITES = 256  # webhooks
REST = 1.0  # seconds from ready until memory is measured
OWN_FILES = 200  # files that the bench has open besides its sockets
MIB = 1024 * 1024
PER_WEBHOOK = "memory per webhook"

CONFIG: dict[str, Any] = {
    "ingest": {"subjects": ["bench.>"]},
    "streams": {STREAM: {"subjects": ["bench.>"]}},
}


def webhook(number: int) -> Webhook:
    """A webhook of a tenant, with a number of usual forms of patterns and conditions."""
    tenant = f"t{number // 4}"
    form = number % 4
    return Webhook(
        id=f"wh-{number}",
        url=f"https://{tenant}.example.com/hooks/{number}",
        events=(
            (f"bench.{tenant}.order.placed", f"bench.{tenant}.order.cancelled"),
            (f"bench.{tenant}.>",),
            (f"bench.*.k{number % 1000}",),
            ("bench.shared.>",),
        )[form],
        namespaces=(tenant,) if form == 3 else (),
        filters=(Filter("data.amount", "exists", True),) if form == 2 else (),
        retry_policy=RetryPolicy(max_attempts=8) if form == 1 else RetryPolicy(),
        created_at=time.time(),
    )


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """Measures the start of an idle gateway; in the first turn also webhooks and subscribers."""
    async with servers() as where, beside(*where, "gateway", CONFIG) as running:
        figures.add("footprint", "start: until ready", "s", await _ready(running))
        await asyncio.sleep(REST)
        idle = memory(running.pid)
        figures.add("footprint", "idle: RSS", "MiB", idle / MIB)
    if ("footprint", PER_WEBHOOK) not in figures.all:
        await _webhooks(figures, sizes.webhooks, idle)
        await _subscribers(figures, sizes.subscribers)


async def _ready(running: Program) -> float:
    """Seconds from the start of the process until it reports that it is ready."""
    while True:
        try:
            await running.get("/readyz")
        except (urllib.error.HTTPError, OSError):
            await asyncio.sleep(0.005)
        else:
            return time.monotonic() - running.began


async def _webhooks(figures: Figures, count: int, idle: int) -> None:
    async with servers() as (nats_url, redis_url, directory):
        await _register(nats_url, count)
        async with beside(nats_url, redis_url, directory, "gateway", CONFIG) as running:
            until = await _ready(running)
            redis = Redis.from_url(redis_url)
            while not await redis.exists(WEBHOOK.key(webhook(count - 1).id)):
                await asyncio.sleep(0.1)
            await redis.aclose()
            await asyncio.sleep(REST)
            grown = memory(running.pid) - idle
    figures.add("footprint", "start with many webhooks: until ready", "s", until)
    figures.add("footprint", PER_WEBHOOK, "B", grown / count)


async def _register(nats_url: str, count: int) -> None:
    """Writes ``count`` webhooks into the registry."""
    supervisor = Supervisor()
    broker = await connect(nats_url)
    registry = Registry(
        broker, StreamList(broker), Peers(broker, "bench", "", supervisor), supervisor
    )
    await registry.open()
    await registry.watch()
    for first in range(0, count, CONCURRENT_WRITES):
        numbers = range(first, min(first + CONCURRENT_WRITES, count))
        await asyncio.gather(*(registry.put_webhook(webhook(n), None) for n in numbers))
    await registry.stop()
    await broker.close()


async def _subscribers(figures: Figures, count: int) -> None:
    _allow_files(count + OWN_FILES)
    async with program("gateway", CONFIG) as running, contextlib.AsyncExitStack() as sockets:
        await _ready(running)
        await asyncio.sleep(REST)
        before = memory(running.pid)
        subscribers = [
            await sockets.enter_async_context(_subscribed(running)) for _ in range(count)
        ]
        bus = await nats.connect(running.nats_url)
        await bus.publish(TYPE, load.event(0, TYPE))
        await bus.close()
        for socket in subscribers:
            await _frame(socket, "event")
        grown = memory(running.pid) - before
    figures.add("footprint", "memory per live subscriber", "B", grown / count)


@contextlib.asynccontextmanager
async def _subscribed(running: Program) -> AsyncIterator[websockets.ClientConnection]:
    """A live subscriber of the stream."""
    url = running.http_url.replace("http", "ws", 1) + "/v1/ws"
    headers = {"Authorization": f"Bearer {running.key}"}
    async with websockets.connect(url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"action": "subscribe", "stream": STREAM}))
        await _frame(socket, "subscribed")
        yield socket


async def _frame(socket: websockets.ClientConnection, kind: str) -> None:
    """Receives the next frame, which must be of this kind."""
    frame = json.loads(await socket.recv())
    if frame["type"] != kind:
        raise RuntimeError(f"expected {kind!r}, received {frame}")


def _allow_files(count: int) -> None:
    """Raises the limit of open files to ``count``, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
