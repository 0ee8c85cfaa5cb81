"""deliver: from JetStream to the receiver, beside the floor and other programs.

Throughput and CPU: the program is stopped while the log fills, then delivers all events. Latency:
at half of the throughput that this run has just shown, from when an event was due to be published
until the receiver has all of it.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench import load
from bench.figures import Figures, cpu_of_trees, quantile
from bench.programs import Program, program, settled
from bench.receiver import Receiver
from bench.sizes import Sizes
from event_gateway.embedded.process import killed_with_parent

WEBHOOKS = 10
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
FLOOR_LIMIT = 25.0  # µs; if the floor costs more, the machine is too busy to measure
FLOOR_POSTS = 5000  # with fewer posts the limit does not apply, as opening connections dominates


@dataclass(frozen=True)
class Case:
    """A case: the program, the number of webhooks for each event, and its processes."""

    kind: str
    fan_out: int
    workers: int = 1

    @property
    def name(self) -> str:
        fan_out = f", fan-out {self.fan_out}" if self.fan_out > 1 else ""
        return self.kind + fan_out + (f", {self.workers} processes" if self.workers > 1 else "")

    def config(self, port: int) -> dict[str, Any]:
        """The program's configuration. A gateway has no console: that is a process of its own,
        whose start would count as CPU of the first deliveries."""
        given = config(port, self.fan_out, enrich=self.kind != "lean")
        return given | {"console": {"enabled": False}}


CASES = (
    Case("gateway", 1), Case("gateway", 1, workers=2), Case("lean", 1), Case("gateway", WEBHOOKS),
    Case("lean", WEBHOOKS), Case("stock", 1), Case("taskqueue", 1),
)  # fmt: skip


def config(port: int, fan_out: int, *, enrich: bool = True) -> dict[str, Any]:
    """A gateway's configuration: ten signed webhooks, each event for one of them or for all."""
    security = {"auth_type": "hmac_signature", "secret_name": "key"}
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "ingest": {"subjects": ["bench.>"]},
        "webhooks": {
            f"w{n}": {
                "url": f"http://127.0.0.1:{port}/{n}", "security": security, "enrich": enrich,
                "events": ["bench.all" if fan_out > 1 else f"bench.t{n}"],
            }
            for n in range(WEBHOOKS)
        },
    }  # fmt: skip


def types(fan_out: int) -> list[str]:
    """The types of the events for these webhooks."""
    return ["bench.all"] if fan_out > 1 else [f"bench.t{n}" for n in range(WEBHOOKS)]


async def floor(receiver: Receiver, posts: int) -> dict[str, float]:
    """Runs the floor; repeats the run while the machine is too busy."""
    for _ in range(20):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.floor", str(receiver.port), str(posts),
            stdout=subprocess.PIPE, preexec_fn=killed_with_parent,
        )  # fmt: skip
        out, _ = await process.communicate()
        measured: dict[str, float] = json.loads(out)
        if measured["cpu_us"] <= FLOOR_LIMIT or posts < FLOOR_POSTS:
            return measured
    raise RuntimeError(f"the floor costs more than {FLOOR_LIMIT} us: the machine is too busy")


async def arrived(receiver: Receiver, count: int) -> None:
    """Returns once ``count`` requests have arrived."""
    while receiver.count < count:
        await asyncio.sleep(0.005)


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn of all cases, each right after a run of the floor."""
    for case in (case for case in CASES if case.name in sizes.cases):
        base = await floor(receiver, sizes.deliveries)
        figures.add("deliver", "floor: CPU", "us", base["cpu_us"])
        figures.add("deliver", "floor: rate", "1/s", base["rate"])
        async with program(case.kind, case.config(receiver.port), case.workers) as running:
            await _case(figures, receiver, running, case, sizes, base["cpu_us"])


async def _case(
    figures: Figures, receiver: Receiver, running: Program, case: Case, sizes: Sizes, base: float
) -> None:
    deliveries, seconds = sizes.deliveries, sizes.seconds
    kinds, warm, events = (
        types(case.fan_out), sizes.warm // case.fan_out, deliveries // case.fan_out
    )  # fmt: skip
    receiver.reset()
    await load.fill(running.nats_url, kinds, 0, warm)
    await arrived(receiver, warm * case.fan_out)
    await settled(running, warm)

    with running.stopped():
        await load.fill(running.nats_url, kinds, warm, events)
        began, cpu = time.monotonic(), cpu_of_trees([running.pid])
    await arrived(receiver, (warm + events) * case.fan_out)
    await settled(running, warm + events)
    rate = deliveries / (receiver.last - began)
    each = (cpu_of_trees([running.pid]) - cpu) / deliveries * 1e6
    figures.add("deliver", f"{case.name}: CPU", "us", each, base)
    figures.add("deliver", f"{case.name}: rate", "1/s", rate)

    before = receiver.count
    half = rate / 2 / case.fan_out
    await load.pace(running.nats_url, kinds, warm + events, half, seconds)
    await arrived(receiver, before + int(half * seconds) * case.fan_out)
    latencies = receiver.latencies(before + int(half * min(1.0, seconds / 2)) * case.fan_out)
    for name, part in QUANTILES:
        figures.add("deliver", f"{case.name}: {name}", "ms", quantile(latencies, part))
