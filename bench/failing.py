"""failing: healthy webhooks beside failing ones, and the cost of a failed attempt.

Twenty webhooks, the same even load twice: with ten of them failing, and with all twenty healthy.
Each event is for one of the first ten webhooks, which are healthy in both runs, and for one of the
other ten. Of the failing webhooks, five have a port that refuses connections, and five a server
that accepts them and never responds, for which the gateway waits two seconds. Rate (deliveries per
second) and latency (ms from when an event was due to be published until the receiver has it) are
those of the first ten.

CPU of a failed attempt: the CPU time of the gateway in the run with failures, less that of its
healthy deliveries at their cost in the other run of the same turn. These rules keep it stable:

- circuit breakers never open, and no delivery is exhausted: a failed attempt is retried after a
  second. So more attempts are due than the gateway starts for so few failing lanes (50 attempts a
  second for each), and the number of attempts does not depend on the machine;
- recording the other deliveries, and keeping them pending, counts as part of the failures. So there
  are fewer events than attempts, and receivers that never respond, whose attempts take seconds, get
  one event in ten;
- the measurement begins once the lanes are known to be failing.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from bench import load
from bench.deliver import arrived, floor
from bench.figures import Figures, cpu_seconds, quantile
from bench.programs import Program, program, settled
from bench.receiver import Receiver, receiving
from bench.sizes import Sizes
from event_gateway.embedded.servers import usable_port

HALF = 10  # webhooks that are healthy in both runs, and as many others
REFUSING = 5  # those of the other ten that refuse connections when they fail
RATE = 200.0  # events per second
WARM = 300  # events for the first ten before anything else
FALLING = 1.5  # seconds until the failing lanes are known to be failing

ATTEMPTS = re.compile(
    rb'^event_gateway_attempts_total\{webhook="\w*",error_type="(\w*)"\} (\S+)$', re.M
)


def types() -> list[str]:
    """The types of the events in turn: ``bench.A.B`` goes to the A-th of the first, the B-th of the
    other ten."""
    return [
        f"bench.{first}."
        f"{REFUSING + turn % REFUSING if first == turn else (first + turn) % REFUSING}"
        for turn in range(HALF)
        for first in range(HALF)
    ]


def config(port: int, refusing: int, silent: int) -> dict[str, Any]:
    """A gateway's configuration: the first ten at ``port``, the others at the two other ports."""
    webhooks: dict[str, Any] = {}
    for n in range(HALF):
        webhooks[f"first{n}"] = {"url": f"http://127.0.0.1:{port}/{n}", "events": [f"bench.{n}.*"]}
        webhooks[f"other{n}"] = {
            "url": f"http://127.0.0.1:{refusing if n < REFUSING else silent}/{n}",
            "events": [f"bench.*.{n}"], "timeout": "2s",
            "circuit_breaker": {"failure_threshold": 10_000},
            "retry_policy": {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1s"},
        }  # fmt: skip
    security = {"auth_type": "hmac_signature", "secret_name": "key"}
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "ingest": {"subjects": ["bench.>"]},
        "webhooks": {name: webhook | {"security": security} for name, webhook in webhooks.items()},
    }


@contextlib.asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """The port of a server that accepts connections, reads, and never responds."""
    server = await asyncio.get_running_loop().create_server(
        asyncio.Protocol, "127.0.0.1", 0, backlog=4096
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def attempts(running: Program) -> tuple[float, float]:
    """The successful and the failed attempts of a gateway so far."""
    counts = [(kind, float(n)) for kind, n in ATTEMPTS.findall(await running.get("/metrics"))]
    return sum(n for kind, n in counts if not kind), sum(n for kind, n in counts if kind)


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn: all healthy, then ten of them down."""
    base = (await floor(receiver, sizes.deliveries))["cpu_us"]
    with receiving() as other:
        setting = config(receiver.port, other.port, other.port)
        cpu, succeeded, _ = await _case(figures, receiver, "all healthy", setting, sizes, other)
    each = cpu / succeeded
    figures.add("failing", "all healthy: CPU per delivery", "us", each * 1e6, base)
    async with silence() as silent:
        setting = config(receiver.port, usable_port(), silent)
        cpu, succeeded, failed = await _case(figures, receiver, "ten down", setting, sizes)
    figures.add("failing", "ten down: failed attempts", "1/s", failed / sizes.failing_seconds)
    more = (cpu - each * succeeded) / failed
    figures.add("failing", "ten down: CPU per failed attempt", "us", more * 1e6, base)


async def _case(
    figures: Figures, receiver: Receiver, name: str, setting: dict[str, Any], sizes: Sizes,
    other: Receiver | None = None,
) -> tuple[float, float, float]:  # fmt: skip
    """Returns CPU seconds, successful attempts and failed attempts of the measurement."""
    seconds, falling = sizes.failing_seconds, int(RATE * FALLING)
    events = int(RATE * seconds)
    async with program("gateway", setting) as running:
        receiver.reset()
        warm = [f"bench.{n}.warm" for n in range(HALF)]  # not for any of the other ten
        await load.fill(running.nats_url, warm, 0, WARM)
        await settled(running, WARM)
        await load.pace(running.nats_url, types(), WARM, RATE, FALLING)
        await arrived(receiver, WARM + falling)
        before = await attempts(running)
        cpu, began = cpu_seconds(running.pid), time.monotonic()
        await load.pace(running.nats_url, types(), WARM + falling, RATE, seconds)
        await arrived(receiver, WARM + falling + events)
        if other is not None:
            await arrived(other, falling + events)
        cpu = cpu_seconds(running.pid) - cpu
        after = await attempts(running)
    latencies = receiver.latencies(WARM + falling)
    figures.add("failing", f"{name}: rate", "1/s", events / (receiver.last - began))
    figures.add("failing", f"{name}: p50", "ms", quantile(latencies, 0.5))
    figures.add("failing", f"{name}: p99", "ms", quantile(latencies, 0.99))
    return cpu, after[0] - before[0], after[1] - before[1]
