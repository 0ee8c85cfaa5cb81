"""queued: what a dead receiver with a long queue takes, and how fast it is worked off.

One webhook whose port refuses, and events of 1 KB for it, published as fast as the log takes them.
Recorded they are when the log knows all as acknowledged. Its breaker opens after five failures as
by default, but probes every five seconds, not every 30, which only the wait for the receiver's
return depends on; nothing is given up meanwhile.

Memory in bytes per queued delivery. Redis has the record, its place in the queue, and the event's
entry in the cache that enrichment reads, which stays for a day whether it is delivered or not: each
as MEMORY USAGE has it, and all together by how much used_memory has grown. The log is what NATS has
written for the events. RSS of the gateway in MiB.

The drain: from the first delivery that the receiver gets until it has all. Its CPU is until none is
left in the queue either. Redis keeps the records of what is delivered, and the cached events.
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
SAMPLED = 1000  # deliveries whose keys in Redis are looked at
MIB = 1024 * 1024
STALLED = 120.0  # seconds without a delivery after which the drain is given up


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
    """Fills the queue, looks at what it takes, and has it worked off."""
    base = (await floor(receiver, sizes.deliveries))["cpu_us"]
    port = usable_port()
    async with program("gateway", config(port)) as running:
        redis = Redis.from_url(running.redis_url)
        empty = await _used(redis)
        await _fill(figures, running, sizes.queued, base)
        figures.add("queued", "Redis: memory per queued delivery", "B",
                    (await _used(redis) - empty) / sizes.queued)  # fmt: skip
        await _look(figures, running, redis, sizes.queued)
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


async def _look(figures: Figures, running: Program, redis: Redis, count: int) -> None:
    """What of it takes how much."""
    add = figures.add
    ids = [load.event_id(number) for number in range(0, count, max(1, count // SAMPLED))]
    records = [DELIVERY.key("dead", one) for one in ids]
    add("queued", "Redis: of it the record", "B", await _mean(redis, records))
    place = await redis.memory_usage(QUEUE.key("dead"), samples=SAMPLED) or 0
    add("queued", "Redis: of it the place in the queue", "B", place / count)
    events = [EVENT.key(one) for one in ids]
    add("queued", "Redis: of it the event in the cache", "B", await _mean(redis, events))
    bus = await nats.connect(running.nats_url)
    state = (await bus.jetstream().stream_info(STREAM)).state
    await bus.close()
    add("queued", "NATS: log per event", "B", state.bytes / state.messages)


async def _mean(redis: Redis, keys: list[str]) -> float:
    """Bytes that a key takes with what it holds. All of them must be there."""
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
    began, cpu, most = time.monotonic(), cpu_seconds(running.pid), 0
    while returned.count < count or await _depth(running):
        await asyncio.sleep(0.1)
        most = max(most, memory(running.pid))
        if time.monotonic() > max(began, returned.last) + STALLED:
            raise RuntimeError(f"no more comes after {returned.count} of {count} deliveries")
    cpu = cpu_seconds(running.pid) - cpu
    seconds = returned.last - began
    add("queued", "drain: time", "s", seconds)
    add("queued", "drain: rate", "1/s", count / seconds)
    add("queued", "drain: CPU", "us", cpu / count * 1e6, base)
    add("queued", "drain: came twice", "", returned.count - count)
    add("queued", "gateway: RSS while draining, most", "MiB", most / MIB)


async def _depth(running: Program) -> int:
    """Deliveries that are not final."""
    depth = json.loads(await running.get("/v1/webhooks/dead/stats"))["queue_depth"]
    return int(depth)
