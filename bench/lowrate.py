"""lowrate: few events a second for one webhook, as most installations have them.

Little is shared between events then: each has its own turns of the event loop, and few share writes
and round trips to NATS and Redis. CPU is counted for the gateway and for both servers together.
"""

import asyncio
import time

from bench import deliver, load
from bench.figures import Figures, cpu_seconds, quantile
from bench.programs import Program, program
from bench.receiver import Receiver
from bench.sizes import Sizes

KINDS = ["bench.t0"]
IDLE = 5  # times as long as a rate: some things are done every five seconds


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn: a gateway with one webhook at each rate, and without events."""
    config = deliver.config(receiver.port, 1)
    config["webhooks"] = {"w0": config["webhooks"]["w0"]}
    async with program("gateway", config) as running:
        receiver.reset()
        number = await _pace(running, receiver, 0, sizes.rates[0], sizes.seconds)  # warms up
        for rate in sizes.rates:
            base = await deliver.floor(receiver, sizes.deliveries)
            first = receiver.count
            cpu, servers = cpu_seconds(running.pid), _of_servers(running)
            count = await _pace(running, receiver, number, rate, sizes.seconds) - number
            number += count
            each = (cpu_seconds(running.pid) - cpu) / count * 1e6
            behind = (_of_servers(running) - servers) / count * 1e6
            latencies = receiver.latencies(first)
            name = f"{rate:g}/s"
            figures.add("lowrate", f"{name}: CPU", "us", each, base["cpu_us"])
            figures.add("lowrate", f"{name}: CPU of NATS and Redis", "us", behind, base["cpu_us"])
            figures.add("lowrate", f"{name}: p50", "ms", quantile(latencies, 0.5))
            figures.add("lowrate", f"{name}: p99", "ms", quantile(latencies, 0.99))
        await asyncio.sleep(sizes.seconds)  # what follows the last events is not idle
        cpu, began = cpu_seconds(running.pid), time.monotonic()
        await asyncio.sleep(IDLE * sizes.seconds)
        idle = (cpu_seconds(running.pid) - cpu) / (time.monotonic() - began)
        figures.add("lowrate", "idle", "% of a core", idle * 100)


async def _pace(
    running: Program, receiver: Receiver, number: int, rate: float, seconds: float
) -> int:
    """Publishes at a rate until all are delivered; the number of the next event."""
    before, count = receiver.count, int(rate * seconds)
    await load.pace(running.nats_url, KINDS, number, rate, seconds)
    await deliver.arrived(receiver, before + count)
    return number + count


def _of_servers(running: Program) -> float:
    return sum(map(cpu_seconds, running.stores))
