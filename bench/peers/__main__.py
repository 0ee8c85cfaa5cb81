"""Measures the gateway and other programs with the same work.

    python -m bench.peers [--peers FILE] [--events 5000] [--rate 100] [--runs 5] [--out FILE]

FILE is JSON: a list of programs that already run, in this order, each with the name of its driver
(outpost, svix, convoy), the address of its API, a key, and its processes on this machine:

    [{"driver": "outpost", "version": "1.0.1", "url": "http://127.0.0.1:3333/api/v1", "key": "…",
      "pids": [101], "stores": [102, 103]}]

The gateway is started with its own servers, and takes its turn with them. A receiver in a process
of its own answers at once; a dead one accepts requests and never answers. Figures are medians over
the turns. The concurrency with which a program sends decides how a dead receiver delays others:
say which it was.
"""

import argparse
import asyncio
from pathlib import Path

import msgspec

from bench.__main__ import table
from bench.failing import silence
from bench.figures import Figures
from bench.peers.drivers import DRIVERS, Driver, Gateway
from bench.peers.entries import Entry, add_peers, read_peers
from bench.peers.work import DEAD, HEALTHY, Load, Peer, measure
from bench.programs import program
from bench.receiver import Receiver, receiving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_peers(parser)
    parser.add_argument("--events", type=int, default=5000, help="published as fast as possible")
    parser.add_argument("--concurrency", type=int, default=64, help="requests at a time")
    parser.add_argument("--rate", type=float, default=100.0, help="events a second for latencies")
    parser.add_argument("--seconds", type=float, default=10.0, help="for so long")
    parser.add_argument("--runs", type=int, default=5, help="turns")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    entries = read_peers(parser, options.peers, DRIVERS)
    load = Load(options.events, options.concurrency, options.rate, options.seconds)
    figures = Figures()
    with receiving() as receiver:
        for _ in range(options.runs):
            asyncio.run(_turn(figures, receiver, entries, load))
    if options.out:
        shown = [figure.as_json() for figure in figures.all.values()]
        options.out.write_bytes(msgspec.json.format(msgspec.json.encode(shown)) + b"\n")
    print(table(figures))


async def _turn(figures: Figures, receiver: Receiver, entries: list[Entry], load: Load) -> None:
    async with silence() as port:
        dead = f"http://127.0.0.1:{port}/"
        urls = {HEALTHY: f"http://127.0.0.1:{receiver.port}/", DEAD: dead}
        async with program("gateway", _config(urls)) as running:
            driver: Driver = Gateway(running.key)
            peer = Peer("gateway", running.http_url, driver, [running.pid], running.stores)
            await measure(figures, peer, receiver, dead, load)
        for entry in entries:
            driver = DRIVERS[entry.driver](entry.key)
            peer = Peer(entry.name, entry.url, driver, entry.pids, entry.stores)
            await measure(figures, peer, receiver, dead, load)


def _config(urls: dict[str, str]) -> dict[str, object]:
    security = {"auth_type": "hmac_signature", "secret_name": "key"}
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "webhooks": {
            event_type.partition(".")[2]: {
                "url": url, "events": [event_type], "security": security,
            }
            for event_type, url in urls.items()
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
