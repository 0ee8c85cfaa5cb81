"""Measures how failing webhooks change the latency of healthy ones.

    python bench/isolation.py [--case failing|unprotected|backlog …]
                              [--runs 5] [--seconds 40] [--rate 50]

The same steady load several times, interleaved, ``--runs`` times each: for ten healthy webhooks
alone, and in each case for these beside

    failing      500 receivers that never respond (timeout 2 s), 500 that refuse connections
    unprotected  the same with circuit breakers that never open, so that attempts never stop
    backlog      one dead webhook with 100,000 pending deliveries

(``--failing`` and ``--backlog`` change these numbers.)

Every event is for the ten healthy webhooks and for twenty failing ones. Latency is from before the
publishing to NATS until the receiver has the request. Each run starts a new gateway with new
servers. Compare the ratio, not milliseconds.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools
import msgspec
import nats
import uvloop

from event_gateway.embedded.process import killed_with_parent

HEALTHY = 10
GROUPS = 50  # an event is for every fiftieth of the failing webhooks
WAVE = 15.0  # seconds at the beginning in which the circuit breakers of a thousand lanes open
LATEST = 60.0  # seconds after which a request that has not arrived counts as lost
# The servers write into a file system in memory, if there is one: a disk that other programs use
# too stalls for a tenth of a second now and then.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Data(msgspec.Struct):
    t: int


class _Body(msgspec.Struct):
    data: _Data


_decode = msgspec.json.Decoder(_Body).decode


class _Healthy(asyncio.Protocol):
    """Responds with 204 at once and records the latency."""

    def __init__(self, seen: "array[int]") -> None:
        self._seen = seen
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        sent = _decode(self._body).data.t
        self._seen.append(sent)
        self._seen.append(time.monotonic_ns() - sent)
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


def _receive(pipe: Any) -> None:
    """A process with the receivers: sends their ports (healthy, silent, refusing) through the pipe,
    and on each message the latencies that it has recorded."""
    killed_with_parent()

    async def serve() -> None:
        seen = array("q")
        loop = asyncio.get_running_loop()
        healthy = await loop.create_server(lambda: _Healthy(seen), "127.0.0.1", 0)
        silent = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=4096)
        refusing = socket.socket()
        refusing.bind(("127.0.0.1", 0))  # and never listens
        ports = [healthy.sockets[0].getsockname()[1], silent.sockets[0].getsockname()[1],
                 refusing.getsockname()[1]]  # fmt: skip
        pipe.send(ports)
        while await asyncio.to_thread(pipe.recv):
            taken = array("q", seen)
            del seen[:]
            pipe.send_bytes(taken.tobytes())

    uvloop.run(serve())


@dataclass
class Run:
    """The results of a run: latencies in ms, in the wave and after it; the peak memory of each
    process (MiB) and the peak of open files."""

    sent: int
    wave: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    files: int = 0
    attempts: int = 0

    def at(self, part: float, *, wave: bool = False) -> float:
        """A quantile of the latencies."""
        ordered = sorted(self.wave if wave else self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _config(ports: list[int], case: str | None, failing: int, directory: Path) -> Path:
    healthy, silent, refusing = ports
    webhooks: dict[str, Any] = {
        f"healthy{n}": {"url": f"http://127.0.0.1:{healthy}/{n}", "events": ["bench.*"]}
        for n in range(HEALTHY)
    }
    if case in ("failing", "unprotected"):
        breaker = {"failure_threshold": 10_000} if case == "unprotected" else {}
        for n in range(2 * failing):
            port = silent if n < failing else refusing
            webhooks[f"failing{n}"] = {
                "url": f"http://127.0.0.1:{port}/{n}", "events": [f"bench.g{n % GROUPS}"],
                "timeout": "2s", "circuit_breaker": breaker,
            }  # fmt: skip
    if case == "backlog":
        webhooks["dead"] = {"url": f"http://127.0.0.1:{refusing}/dead", "events": ["dead.*"]}
    path = directory / "gateway.yaml"
    path.write_text(json.dumps({
        "delivery": {"allow_networks": ["127.0.0.0/8"]}, "webhooks": webhooks,
        "ingest": {"subjects": ["bench.>", "dead.>"]},
    }))  # fmt: skip
    return path


class _Gateway:
    """The program, with the memory and files that it and its servers use."""

    def __init__(self, config: Path, directory: Path) -> None:
        self._data = directory / "data"
        self._log = (directory / "log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "event_gateway", "serve", "-c", str(config), "--port", "0",
             "--data-dir", str(self._data)],
            stdout=self._log, stderr=self._log, preexec_fn=killed_with_parent,
        )  # fmt: skip
        self.memory: dict[str, float] = {}
        self.files = 0

    async def ready(self) -> dict[str, str]:
        endpoints = self._data / "endpoints.json"
        while not endpoints.exists():
            assert self.process.poll() is None, "the gateway has ended"
            await asyncio.sleep(0.05)
        return json.loads(endpoints.read_text())  # type: ignore[no-any-return]

    def sample(self) -> None:
        pids = {"gateway": self.process.pid} | {
            name: int((self._data / f"{name}.pid").read_text()) for name in ("nats", "valkey")
        }
        for name, pid in pids.items():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    self.memory[name] = int(line.split()[1]) / 1024
        self.files = max(self.files, len(os.listdir(f"/proc/{self.process.pid}/fd")))

    def get(self, http: str, path: str) -> Any:
        key = (self._data / "admin.key").read_text()
        request = urllib.request.Request(http + path, headers={"X-API-Key": key})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self._log.close()


async def _publish_backlog(bus: Any, count: int) -> None:
    js = bus.jetstream()
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        await asyncio.gather(*(js.publish("dead.made", _event("dead.made", n)) for n in numbers))


def _event(event_type: str, number: int) -> bytes:
    return json.dumps({
        "specversion": "1.0", "id": f"{event_type}-{number}", "source": "bench",
        "type": event_type, "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "data": {"t": time.monotonic_ns(), "n": number, "text": "x" * 600},
    }).encode()  # fmt: skip


async def _run(ports: list[int], pipe: Any, case: str | None, given: Any) -> Run:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        directory = Path(name)
        gateway = _Gateway(_config(ports, case, given.failing, directory), directory)
        try:
            at = await gateway.ready()
            bus = await nats.connect(at["nats"])
            if case == "backlog":
                await _publish_backlog(bus, given.backlog)
                path = "/v1/webhooks/dead/stats"
                while gateway.get(at["http"], path)["queue_depth"] < given.backlog:
                    await asyncio.sleep(0.5)
            pipe.send(True)
            pipe.recv_bytes()
            count, began = int(given.rate * given.seconds), time.monotonic()
            for n in range(count):
                await asyncio.sleep(began + n / given.rate - time.monotonic())
                kind = f"bench.g{n % GROUPS}"
                await bus.publish(kind, _event(kind, n))
                if n % max(1, given.rate // 4) == 0:
                    gateway.sample()
            seen = array("q")
            deadline = time.monotonic() + LATEST
            while len(seen) < 2 * count * HEALTHY and time.monotonic() < deadline:
                await asyncio.sleep(1)
                pipe.send(True)
                seen.frombytes(pipe.recv_bytes())
            run = Run(sent=len(seen) // 2, memory=gateway.memory, files=gateway.files)
            for i in range(0, len(seen), 2):
                late = seen[i] / 1e9 - began >= given.wave
                (run.latencies if late else run.wave).append(seen[i + 1] / 1e6)
            if case in ("failing", "unprotected"):
                for n in range(0, 2 * given.failing, max(1, given.failing // 5)):
                    stats = gateway.get(at["http"], f"/v1/webhooks/failing{n}/stats")
                    run.attempts += stats["attempts"]
            await bus.close()
            assert run.sent >= count * HEALTHY, f"{run.sent} of {count * HEALTHY} requests arrived"
            return run
        finally:
            gateway.end()


def _line(name: str, run: Run, first: float) -> str:
    memory = " ".join(f"{key} {value:.0f}" for key, value in run.memory.items())
    return (f"  {name:11} p50 {run.at(0.5):5.2f} p99 {run.at(0.99):6.2f} p99.9 "
            f"{run.at(0.999):6.2f} ms   first {first:.0f} s: p99 {run.at(0.99, wave=True):6.2f} ms"
            f"   MiB: {memory}   files {run.files}")  # fmt: skip


async def _bench(ports: list[int], pipe: Any, given: Any) -> None:
    alone: list[Run] = []
    beside: dict[str, list[Run]] = {case: [] for case in given.case}
    for number in range(given.runs):
        print(f"run {number + 1}", flush=True)
        for case, runs in ((None, alone), *beside.items()):
            runs.append(await _run(ports, pipe, case, given))
            print(_line(case or "alone", runs[-1], given.wave), flush=True)
            if runs[-1].attempts:
                print(f"          attempts at 10 of the failing webhooks: {runs[-1].attempts}")
    for case, runs in beside.items():
        print(f"{case}: {given.runs} runs each, {given.rate} events/s for {given.seconds} s")
        _compare(alone, runs, given.wave)


def _compare(alone: list[Run], beside: list[Run], first: float) -> None:
    """Prints the medians of both, and their ratio."""
    for part, wave in ((0.5, False), (0.99, False), (0.999, False), (0.99, True)):
        before = sorted(run.at(part, wave=wave) for run in alone)
        after = sorted(run.at(part, wave=wave) for run in beside)
        ratio = statistics.median(after) / statistics.median(before)
        when = f" in the first {first:.0f} s" if wave else ""
        print(f"  p{part * 100:g}{when}: "
              f"alone {statistics.median(before):.2f} ms ({before[0]:.2f} to "
              f"{before[-1]:.2f}), beside {statistics.median(after):.2f} ms ({after[0]:.2f} to "
              f"{after[-1]:.2f}): {ratio:.2f} times")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=["failing", "unprotected", "backlog"],
                        default=["failing"])  # fmt: skip
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument(
        "--wave",
        type=float,
        default=WAVE,
        help="seconds at the beginning that are reported separately",
    )
    parser.add_argument("--rate", type=int, default=50, help="events per second")
    parser.add_argument("--failing", type=int, default=500, help="failing webhooks of each kind")
    parser.add_argument("--backlog", type=int, default=100_000, help="pending deliveries")
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=_receive, args=(there,), daemon=True)
    receiver.start()
    uvloop.run(_bench(here.recv(), here, given))


if __name__ == "__main__":
    main()
