"""Measures the gateway and Centrifugo with the same live subscribers.

    python -m bench.peers.live [--peers FILE] [--subscribers 500] [--rate 40] [--workers 1]
        [--apart]

FILE is that of ``bench.peers``, with the driver ``centrifugo``. The gateway is started with its own
servers, and takes its turn with each program. An event of 1 KB comes in by the program's HTTP API,
one a request at an even rate, and goes to all subscribers over WebSocket. They are a process of
their own, the same for each program. The latency counts from the moment at which an event was due
until a subscriber has read it. The memory of a connection is measured once, in the first turn, with
``--idle`` subscribers that get nothing: start the other programs afresh before.

``--apart`` keeps the subscribers and the publisher on one core, and the gateway's process on
another, as if they were on two machines. Without it the kernel may run the subscribers on the core
of the program that writes to them, which then needs twice the time. The other programs run where
they were started.
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from bench.__main__ import table
from bench.figures import Figures, cpu_of_trees, memory_of_trees, quantile
from bench.listeners import Dialect, Listeners, gateway
from bench.peers.drivers import Driver, Gateway
from bench.peers.entries import Entry, add_peers, read_peers
from bench.peers.work import HEALTHY, QUANTILES, Load, Peer, publisher, steady
from bench.programs import program

# Events before the figures count: Linux acknowledges the first 16 packets of a connection one by
# one, and each costs the sender twice as much as later ones.
WARM = 20
CONFIG = {"streams": {"bench": {"subjects": ["bench.>"]}}}


class Centrifugo:
    """Centrifugo. ``key`` is its ``http_api.key``. It must allow clients to connect without a token
    and to subscribe to channels."""

    def __init__(self, key: str) -> None:
        self.headers: Mapping[str, str] = {"X-API-Key": key}

    async def prepare(self, api: object, urls: object) -> None:
        """Nothing: a channel is there with its first subscriber."""

    def publication(
        self, number: int, event_type: str, data: object
    ) -> tuple[str, dict[str, object]]:
        return "/api/publish", {"channel": "bench", "data": data}

    async def end(self, api: object) -> None:
        """Nothing: a channel ends with its last subscriber."""

    def dialect(self) -> Dialect:
        """Its protocol in JSON: commands are separated by line feeds, and a ping is ``{}``."""
        return Dialect(
            path="/connection/websocket",
            headers=(),
            subscribe=b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"bench"}}',
            subscribed=b'"id":2,',
            ping=b"{}",
        )


DRIVERS: dict[str, Callable[[str], Centrifugo]] = {"centrifugo": Centrifugo}


@dataclass(frozen=True)
class Live:
    """How many subscribers, and how many of them idle; ``rate`` events a second for ``seconds``.
    ``workers``: processes of the gateway. ``apart``: its process and the subscribers have a core
    each."""

    subscribers: int
    idle: int
    workers: int
    apart: bool
    rate: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_peers(parser)
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--idle", type=int, default=5000, help="subscribers that get no event")
    parser.add_argument("--workers", type=int, default=1, help="processes of the gateway")
    parser.add_argument(
        "--apart", action="store_true", help="the gateway and the subscribers have a core each"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="for so long")
    parser.add_argument("--runs", type=int, default=5, help="turns")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    entries = read_peers(parser, options.peers, DRIVERS)
    live = Live(
        options.subscribers, options.idle, options.workers, options.apart, options.rate,
        options.seconds,
    )  # fmt: skip
    figures = Figures()
    for turn in range(options.runs):
        asyncio.run(_turn(figures, entries, live, first=not turn))
    if options.out:
        shown = [figure.as_json() for figure in figures.all.values()]
        options.out.write_bytes(msgspec.json.format(msgspec.json.encode(shown)) + b"\n")
    print(table(figures))


async def _turn(figures: Figures, entries: list[Entry], live: Live, *, first: bool) -> None:
    cores = sorted(os.sched_getaffinity(0))
    async with program("gateway", CONFIG, live.workers) as running:
        driver: Driver = Gateway(running.key)
        name = "gateway" if live.workers == 1 else f"gateway, {live.workers} processes"
        if live.apart:
            running.keep_on(cores[0])
            os.sched_setaffinity(0, cores[-1:])  # and the subscribers, which are its children
            name += ", on one core"
        peer = Peer(name, running.http_url, driver, [running.pid], running.stores)
        await _measure(figures, peer, gateway(running.key), live, first)
    for entry in entries:
        centrifugo = DRIVERS[entry.driver](entry.key)
        peer = Peer(entry.name, entry.url, centrifugo, entry.pids, entry.stores)
        await _measure(figures, peer, centrifugo.dialect(), live, first)
    os.sched_setaffinity(0, cores)


async def _measure(figures: Figures, peer: Peer, dialect: Dialect, live: Live, first: bool) -> None:
    if first and live.idle:
        await _settled(peer.pids)
        before = memory_of_trees(peer.pids)
        listeners = Listeners(peer.url, dialect, live.idle)
        await listeners.ready()
        await _settled(peer.pids)
        each = (memory_of_trees(peer.pids) - before) / live.idle / 1024
        figures.add(peer.name, f"memory of each of {live.idle:,} idle", "KiB", each)
        listeners.end()
    listeners = Listeners(peer.url, dialect, live.subscribers, timed=True)
    try:
        await listeners.ready()
        headers = {"Content-Type": "application/json", **peer.driver.headers}
        async with aiohttp.ClientSession(headers=headers) as session:
            publish = publisher(session, peer)
            warm = Load(0, 0, live.rate, WARM / live.rate)
            await steady(publish, 0, [HEALTHY], warm)
            await listeners.until(WARM * live.subscribers, 60)
            await _settled(peer.pids)
            own, stores = cpu_of_trees(peer.pids), cpu_of_trees(peer.stores)
            await steady(publish, WARM, [HEALTHY], Load(0, 0, live.rate, live.seconds))
        sent = int(live.rate * live.seconds) * live.subscribers
        await listeners.until(WARM * live.subscribers + sent, 60)
        await _settled(peer.pids)
        each = 1e6 / sent
        figures.add(peer.name, "CPU of its processes, a message", "us",
                    (cpu_of_trees(peer.pids) - own) * each)  # fmt: skip
        figures.add(peer.name, "CPU of its stores, a message", "us",
                    (cpu_of_trees(peer.stores) - stores) * each)  # fmt: skip
        _, _, latencies = await listeners.counts()
        timed = latencies[WARM * live.subscribers :]
        for name, part in QUANTILES:
            figures.add(peer.name, name, "ms", quantile(timed, part) / 1e6)
    finally:
        listeners.end()


async def _settled(pids: Sequence[int]) -> None:
    """Returns once the processes are idle."""
    before = -1.0
    while (now := cpu_of_trees(pids)) - before > 0.02:
        before = now
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    main()
