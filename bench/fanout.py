"""Fan-out: the cost of a message to a live subscriber, of an idle and of a slow subscriber.

    python -m bench.fanout [--runs 5] [--only cpu,idle,slow] [--seconds 60] [--idle 10000]

cpu     for 1, 100 and 1,000 subscribers: CPU of the gateway per message sent, beside the bare
        broadcast (bench/broadcast.py) at the same rate and size in the same run. The CPU of the
        gateway for the same events without a subscriber (routing, enrichment) is measured before,
        and subtracted in the line "fan-out alone".
idle    subscribers on one process that get no events: the memory of each, and whether all of them
        get the single event at the end.
slow    500 subscribers, and the same beside one that reads nothing, interleaved: latency from the
        moment at which an event was due until a subscriber has it.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
from typing import Any

import uvloop

from bench import load
from bench.figures import Figures, cpu_seconds, memory, quantile
from bench.listeners import Listeners, gateway
from bench.programs import Program, program
from event_gateway.embedded.process import killed_with_parent

TYPE = "bench.made"
CONFIG: dict[str, Any] = {
    "ingest": {"subjects": ["bench.>"]},
    "streams": {"bench": {"subjects": ["bench.>"]}},
}
# Subscribers, events a second, events: some 20,000 messages a second, and some seconds of them.
CASES = ((1, 1000.0, 4000), (100, 200.0, 800), (1000, 20.0, 80))
SLOW_RATE, SLOW_SIZE, SLOW_AMONG = 40.0, 4096, 500
MIB = 1024 * 1024


@contextlib.asynccontextmanager
async def _listening(running: Program, count: int, **more: Any) -> Any:
    listeners = Listeners(running.http_url, gateway(running.key), count, **more)
    try:
        await listeners.ready()
        yield listeners
    finally:
        listeners.end()


async def _settled(running: Program) -> None:
    """Returns once the process is idle."""
    before = -1.0
    while (now := cpu_seconds(running.pid)) - before > 0.02:
        before = now
        await asyncio.sleep(0.5)


async def _cpu(figures: Figures) -> None:
    for count, rate, events in CASES:
        floor = await _floor(count, rate, events)
        async with program("gateway", CONFIG) as running:
            await _settled(running)
            before = cpu_seconds(running.pid)
            await load.pace(running.nats_url, [TYPE], 0, rate, events / rate)
            await _settled(running)
            alone = cpu_seconds(running.pid) - before
            async with _listening(running, count) as listeners:
                await _settled(running)
                before = cpu_seconds(running.pid)
                await load.pace(running.nats_url, [TYPE], events, rate, events / rate)
                await listeners.until(events * count, 60)
                await _settled(running)
                spent = cpu_seconds(running.pid) - before
        sent = events * count
        name = f"{count:,} subscribers"
        figures.add("fanout", f"{name}: bare broadcast", "µs", floor)
        figures.add("fanout", f"{name}: all of the gateway", "µs", spent / sent * 1e6, floor)
        figures.add("fanout", f"{name}: fan-out alone", "µs", (spent - alone) / sent * 1e6, floor)


async def _floor(count: int, rate: float, events: int) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = [str(argument) for argument in (port, count, events, rate, load.SIZE + 110)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.broadcast",
        *given,
        stdout=subprocess.PIPE,
        preexec_fn=killed_with_parent,
    )
    await asyncio.sleep(1)
    listeners = Listeners(f"http://127.0.0.1:{port}", None, count)
    out, _ = await process.communicate()
    listeners.end()
    return float(out)


async def _idle(figures: Figures, count: int) -> None:
    async with program("gateway", CONFIG) as running:
        await asyncio.sleep(1)
        before = memory(running.pid)
        async with _listening(running, count) as listeners:
            await _settled(running)
            grown = memory(running.pid) - before
            figures.add("fanout", f"{count:,} idle: memory of each", "KiB", grown / count / 1024)
            await load.pace(running.nats_url, [TYPE], 0, 1.0, 1.0)
            await listeners.until(count, 60)
            figures.add("fanout", f"{count:,} idle: all of the process", "MiB",
                        memory(running.pid) / MIB)  # fmt: skip


async def _slow(figures: Figures, seconds: float, silent: int) -> None:
    name = "beside one that reads nothing" if silent else f"{SLOW_AMONG} subscribers"
    async with (
        program("gateway", CONFIG) as running,
        _listening(running, SLOW_AMONG, silent=silent, timed=True) as listeners,
    ):
        await _settled(running)
        before = memory(running.pid)
        events = int(SLOW_RATE * seconds)
        await load.pace(running.nats_url, [TYPE], 0, SLOW_RATE, seconds, SLOW_SIZE)
        await listeners.until(events * SLOW_AMONG, 60)
        _, _, latencies = await listeners.counts()
        text = (await running.get("/metrics")).decode()
        fell = [line for line in text.splitlines() if line.startswith(
            "event_gateway_stream_slow_consumers_total")]  # fmt: skip
        assert float(fell[0].split()[1]) == silent, fell
        for part in (0.5, 0.99):
            figures.add("fanout", f"{name}: p{part * 100:.0f}", "ms",
                        quantile(latencies, part) / 1e6)  # fmt: skip
        figures.add("fanout", f"{name}: memory grew by", "MiB",
                    (memory(running.pid) - before) / MIB)  # fmt: skip


async def main(options: argparse.Namespace) -> None:
    """Runs the selected cases and prints a line for each figure."""
    figures = Figures()
    selected = options.only.split(",")
    if "idle" in selected:
        await _idle(figures, options.idle)
    for _ in range(options.runs):
        if "cpu" in selected:
            await _cpu(figures)
        if "slow" in selected:
            for silent in (0, 1):
                await _slow(figures, options.seconds, silent)
    for figure in figures.all.values():
        times = "" if figure.times_floor is None else f"{figure.times_floor:6.2f} x bare"
        spread = f"{min(figure.samples):8.2f} to {max(figure.samples):8.2f}"
        print(f"{figure.name:48} {statistics.median(figure.samples):8.2f} {figure.unit:4} "
              f"{spread} {times}")  # fmt: skip
    print(json.dumps([figure.as_json() for figure in figures.all.values()]), file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="cpu,idle,slow")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--idle", type=int, default=10_000)
    uvloop.run(main(parser.parse_args()))
