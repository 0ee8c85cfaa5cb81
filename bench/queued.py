"""queued: the memory of a long queue for a dead receiver, and the time to drain it.

A webhook whose port refuses connections, and events of 1 KB for it, published as fast as the log
accepts them. They are recorded when all of them are acknowledged in the log. The circuit breaker
opens after five failures, as by default, but has a probe every five seconds, not every 30; only the
wait until the receiver is back depends on this. No delivery is exhausted in between.

Memory in bytes per queued delivery. Redis holds the record, the member of the queue, and the event
in the cache for enrichment, which stays for a day whether it is delivered or not: each by MEMORY
USAGE, and all together by the growth of used_memory. The log: the bytes that NATS has written for
the events. RSS of the gateway in MiB.

The drain: from the first delivery that the receiver gets until it has all of them. Its CPU is
counted until the queue is empty. Redis keeps the records of the deliveries, and the cached events.
"""

import asyncio
import json
import time
from typing import Any

import nats
from redis.asyncio import Redis

from bench import load
from bench.deliver import floor
from bench.figures import Figures, cpu_seconds, memory
from bench.programs import STREAM, Program, program, settled
from bench.receiver import Receiver, receiving
from bench.sizes import Sizes
from event_gateway.embedded.servers import usable_port
from event_gateway.state.keys import DELIVERY, EVENT, QUEUE

TYPE = "bench.dead"
SAMPLED = 1000  # deliveries whose keys in Redis are measured
MIB = 1024 * 1024
STALLED = 120.0  # seconds without a delivery after which the drain fails


def config(port: int) -> dict[str, Any]:
    """A gateway's configuration: one webhook at a port where nothing listens yet."""
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "ingest": {"subjects": ["bench.>"]},
        "webhooks": {
            "dead": {
                "url": f"http://127.0.0.1:{port}/", "events": [TYPE],
                "security": {"auth_type": "hmac_signature", "secret_name": "key"},
                "circuit_breaker": {"open_for": "5s"},
                "retry_policy": {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1s"},
            }
        },
    }  # fmt: skip


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """Fills the queue, measures its memory, and drains it."""
    base = (await floor(receiver, sizes.deliveries))["cpu_us"]
    port = usable_port()
    async with program("gateway", config(port)) as running:
        redis = Redis.from_url(running.redis_url)
        empty = await _used(redis)
        await _fill(figures, running, sizes.queued, base)
        figures.add("queued", "Redis: memory per queued delivery", "B",
                    (await _used(redis) - empty) / sizes.queued)  # fmt: skip
        await _measure(figures, running, redis, sizes.queued)
        with receiving(port) as returned:
            await _drain(figures, running, returned, sizes.queued, base)
        figures.add("queued", "Redis: memory per delivery once drained", "B",
                    (await _used(redis) - empty) / sizes.queued)  # fmt: skip
        await redis.aclose()


async def _used(redis: Redis) -> int:
    """Bytes that Redis has allocated."""
    return int((await redis.info("memory"))["used_memory"])


async def _fill(figures: Figures, running: Program, count: int, base: float) -> None:
    figures.add("queued", "gateway: RSS before", "MiB", memory(running.pid) / MIB)
    began, cpu = time.monotonic(), cpu_seconds(running.pid)
    await load.fill(running.nats_url, [TYPE], 0, count)
    await settled(running, count)
    cpu = cpu_seconds(running.pid) - cpu
    figures.add("queued", "recording: rate", "1/s", count / (time.monotonic() - began))
    figures.add("queued", "recording: CPU", "us", cpu / count * 1e6, base)
    figures.add("queued", "gateway: RSS with all queued", "MiB", memory(running.pid) / MIB)


async def _measure(figures: Figures, running: Program, redis: Redis, count: int) -> None:
    """Measures the memory of the parts of a queued delivery."""
    add = figures.add
    ids = [load.event_id(number) for number in range(0, count, max(1, count // SAMPLED))]
    records = [DELIVERY.key("dead", event_id) for event_id in ids]
    add("queued", "Redis: of it the record", "B", await _mean(redis, records))
    queue = await redis.memory_usage(QUEUE.key("dead"), samples=SAMPLED) or 0
    add("queued", "Redis: of it the member of the queue", "B", queue / count)
    events = [EVENT.key(event_id) for event_id in ids]
    add("queued", "Redis: of it the event in the cache", "B", await _mean(redis, events))
    bus = await nats.connect(running.nats_url)
    state = (await bus.jetstream().stream_info(STREAM)).state
    await bus.close()
    add("queued", "NATS: log per event", "B", state.bytes / state.messages)


async def _mean(redis: Redis, keys: list[str]) -> float:
    """The mean memory of these keys with their values, in bytes. All keys must exist."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.memory_usage(key)
        sizes: list[int] = await pipe.execute()
    return sum(sizes) / len(sizes)


async def _drain(
    figures: Figures, running: Program, returned: Receiver, count: int, base: float
) -> None:
    add = figures.add
    while not returned.count:
        await asyncio.sleep(0.005)
    began, cpu, peak = time.monotonic(), cpu_seconds(running.pid), 0
    while returned.count < count or await _depth(running):
        await asyncio.sleep(0.1)
        peak = max(peak, memory(running.pid))
        if time.monotonic() > max(began, returned.last) + STALLED:
            raise RuntimeError(f"no delivery follows after {returned.count} of {count}")
    cpu = cpu_seconds(running.pid) - cpu
    seconds = returned.last - began
    add("queued", "drain: time", "s", seconds)
    add("queued", "drain: rate", "1/s", count / seconds)
    add("queued", "drain: CPU", "us", cpu / count * 1e6, base)
    add("queued", "drain: duplicates", "", returned.count - count)
    add("queued", "gateway: peak RSS while draining", "MiB", peak / MIB)


async def _depth(running: Program) -> int:
    """Deliveries that are not final."""
    depth = json.loads(await running.get("/v1/webhooks/dead/stats"))["queue_depth"]
    return int(depth)
