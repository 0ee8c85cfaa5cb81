"""The work that each program gets: events of 1 KB, one by one by its API, for a signed webhook."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from bench.deliver import arrived
from bench.figures import Figures, cpu_of_trees, quantile
from bench.peers.drivers import Api, Driver
from bench.receiver import WIDTH, Receiver

HEALTHY, DEAD = "bench.healthy", "bench.dead"
TEXT = "x" * 900
_decode = msgspec.json.decode
_encode = msgspec.json.encode  # without blanks, as the receiver looks for the time
QUANTILES = (("p50", 0.5), ("p99", 0.99))


@dataclass(frozen=True)
class Peer:
    """A program that runs. ``pids``: its processes, ``stores``: those of its databases and
    queues."""

    name: str
    url: str
    driver: Driver
    pids: Sequence[int] = ()
    stores: Sequence[int] = ()


@dataclass(frozen=True)
class Load:
    """How much work: ``events`` at ``concurrency`` requests at a time, then ``rate`` events a
    second for ``seconds``."""

    events: int
    concurrency: int
    rate: float
    seconds: float


async def measure(figures: Figures, peer: Peer, receiver: Receiver, dead: str, load: Load) -> None:
    """One turn of one program; ``dead`` is a URL that accepts requests and never answers."""
    limit = aiohttp.TCPConnector(limit=load.concurrency)
    headers = {"Content-Type": "application/json", **peer.driver.headers}
    async with aiohttp.ClientSession(headers=headers, connector=limit) as session:
        api = _api(session, peer.url)
        urls = {HEALTHY: f"http://127.0.0.1:{receiver.port}/", DEAD: dead}
        await peer.driver.prepare(api, urls)
        publish = publisher(session, peer)
        await _all(publish, receiver, 0, load.events // 10, load.concurrency)  # warms up
        began, first = time.monotonic(), receiver.count
        with _cpu(figures, peer, "", load.events):
            await _all(publish, receiver, first, load.events, load.concurrency)
        figures.add(peer.name, "rate", "1/s", load.events / (receiver.last - began))
        for name, kinds in (("steady", [HEALTHY]), ("beside a dead receiver", [HEALTHY, DEAD])):
            before, count = receiver.count, int(load.rate * load.seconds)
            with _cpu(figures, peer, f"{name}: ", count):
                await steady(publish, before, kinds, load)
                await arrived(receiver, before + -(-count // len(kinds)))
            for quantile_name, part in QUANTILES:
                value = quantile(receiver.latencies(before), part)
                figures.add(peer.name, f"{name}: {quantile_name}", "ms", value)
        await peer.driver.end(api)


@contextlib.contextmanager
def _cpu(figures: Figures, peer: Peer, name: str, count: int) -> Iterator[None]:
    """Adds the CPU time for each of so many events, of the program and of its stores."""
    before = cpu_of_trees(peer.pids), cpu_of_trees(peer.stores)
    yield
    for what, pids, then in zip(
        ("processes", "stores"), (peer.pids, peer.stores), before, strict=True
    ):
        spent = (cpu_of_trees(pids) - then) / count * 1e6
        figures.add(peer.name, f"{name}CPU of its {what}", "us", spent)


Publish = Callable[[int, str, int], Coroutine[Any, Any, None]]


def _api(session: aiohttp.ClientSession, url: str) -> Api:
    async def call(method: str, path: str, body: Any) -> Any:
        async with session.request(method, url + path, data=_encode(body)) as response:
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            return _decode(await response.read() or b"null")

    return call


def publisher(session: aiohttp.ClientSession, peer: Peer) -> Publish:
    """Publishes an event by number, type and the time at which it is due (CLOCK_MONOTONIC, ns)."""

    async def publish(number: int, event_type: str, due: int) -> None:
        data: Mapping[str, str] = {"sent": f"{due:0{WIDTH}d}", "text": TEXT}
        path, body = peer.driver.publication(number, event_type, data)
        async with session.post(peer.url + path, data=_encode(body)) as response:
            if response.status >= 300:
                raise RuntimeError(f"{path}: {response.status} {await response.text()}")
            await response.read()

    return publish


async def _all(
    publish: Publish, receiver: Receiver, first: int, count: int, concurrency: int
) -> None:
    """Publishes so many events, and returns once all have arrived."""
    before = receiver.count
    numbers = iter(range(first, first + count))

    async def some() -> None:
        for number in numbers:
            await publish(number, HEALTHY, time.monotonic_ns())

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(some())
    await arrived(receiver, before + count)


async def steady(publish: Publish, first: int, kinds: Sequence[str], load: Load) -> None:
    """Publishes events of these types in turn at an even rate, however long each request takes."""
    began = time.monotonic_ns()
    async with asyncio.TaskGroup() as group:
        for number in range(int(load.rate * load.seconds)):
            due = began + int(number / load.rate * 1e9)
            await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            # Numbers that no other part of the work has.
            named = 1_000_000_000 + first * len(kinds) + number
            group.create_task(publish(named, kinds[number % len(kinds)], due))
