"""ingest: the cost of intake over HTTP and from NATS, when no webhook matches the events.

Posted events pass through the log to the router, too: the CPU of a posted event includes that of an
event from NATS, in smaller batches. "Not routed": of a gateway whose router takes nothing. For
events from NATS the CPU of Redis is measured, too: those with a subject have related events.
"""

import time

from bench import deliver, load
from bench.figures import Figures, cpu_seconds
from bench.posting import Posts, post
from bench.programs import Program, program, settled
from bench.receiver import Receiver
from bench.sizes import Sizes

UNMATCHED = "bench.unmatched"
BATCH = 100  # events in a request
# Figures of events from NATS, each with its number of subjects.
FROM_NATS = {"from NATS": 0, "from NATS, 1,000 subjects": 1_000, "from NATS, one subject": 1}


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn: posted one by one, posted in batches, published."""
    async with program("gateway", deliver.config(receiver.port, 1)) as running:
        number, warm = 0, sizes.warm // 2
        for name, count, each in (
            ("POST one by one", sizes.posts, 1),
            (f"POST batches of {BATCH}", sizes.deliveries, BATCH),
        ):
            await _post(running, Posts(UNMATCHED, number, warm, each))
            number += warm
            base = await _floor(figures, receiver, sizes)
            began, cpu = time.monotonic(), cpu_seconds(running.pid)
            ended = await _post(running, Posts(UNMATCHED, number, count, each))
            number += count
            _add(figures, name, count, ended - began, cpu_seconds(running.pid) - cpu, base)
        for name, subjects in FROM_NATS.items():
            await load.fill(running.nats_url, [UNMATCHED], number, warm, subjects)
            number += warm
            await settled(running, number)
            base = await _floor(figures, receiver, sizes)
            with running.stopped():
                await load.fill(running.nats_url, [UNMATCHED], number, sizes.deliveries, subjects)
                began, cpu = time.monotonic(), cpu_seconds(running.pid)
                redis = cpu_seconds(running.server_pid("valkey"))
            number += sizes.deliveries
            await settled(running, number)
            took, spent = time.monotonic() - began, cpu_seconds(running.pid) - cpu
            redis = cpu_seconds(running.server_pid("valkey")) - redis
            _add(figures, name, sizes.deliveries, took, spent, base)
            figures.add("ingest", f"{name}: Redis: CPU", "us", redis / sizes.deliveries * 1e6, base)

    async with program("unrouted", deliver.config(receiver.port, 1)) as running:
        await post(running.http_url, running.key, Posts(UNMATCHED, 0, sizes.warm, 1))
        number = sizes.warm
        for name, count, each in (
            ("POST one by one, not routed", sizes.posts, 1),
            (f"POST batches of {BATCH}, not routed", sizes.deliveries, BATCH),
        ):
            base = await _floor(figures, receiver, sizes)
            began, cpu = time.monotonic(), cpu_seconds(running.pid)
            await post(running.http_url, running.key, Posts(UNMATCHED, number, count, each))
            number += count
            took, spent = time.monotonic() - began, cpu_seconds(running.pid) - cpu
            _add(figures, name, count, took, spent, base)


async def _post(running: Program, posts: Posts) -> float:
    """Posts events until the router has settled them; returns when the last was answered."""
    await post(running.http_url, running.key, posts)
    ended = time.monotonic()
    await settled(running, posts.first + posts.count)
    return ended


async def _floor(figures: Figures, receiver: Receiver, sizes: Sizes) -> float:
    base = await deliver.floor(receiver, sizes.deliveries)
    figures.add("ingest", "floor: CPU", "us", base["cpu_us"])
    return base["cpu_us"]


def _add(figures: Figures, name: str, events: int, seconds: float, cpu: float, base: float) -> None:
    figures.add("ingest", f"{name}: CPU", "us", cpu / events * 1e6, base)
    figures.add("ingest", f"{name}: rate", "1/s", events / seconds)
