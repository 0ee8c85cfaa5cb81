"""The programs that are compared, each in its own process with its own servers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats

from bench.figures import trees
from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import EmbeddedServers

# The servers write into a file system in memory, if there is one: a disk that other programs use
# too stalls for a tenth of a second now and then.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt"
STREAM = "GATEWAY_EVENTS"  # the stream of all programs
READER = "router"  # the consumer of all programs
GATEWAYS = ("gateway", "lean", "unrouted")
ENVIRON = {"EVENT_GATEWAY_SECRET_KEY": SECRET, "PYTHONPATH": str(Path(__file__).parents[1])}


@dataclass
class Program:
    """A running program, its servers, and the directory of its configuration and data.

    ``began``: the start of its process, in seconds of CLOCK_MONOTONIC.
    """

    process: "subprocess.Popen[bytes]"
    nats_url: str
    redis_url: str
    directory: Path
    began: float
    http_url: str = ""
    key: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def server_pid(self, name: str) -> int:
        """The process of its server: ``nats`` or ``valkey``."""
        return int((self.directory / "servers" / f"{name}.pid").read_text())

    @property
    def stores(self) -> list[int]:
        """The processes of its NATS and Valkey servers."""
        return [self.server_pid(name) for name in ("nats", "valkey")]

    def keep_on(self, core: int) -> None:
        """Keeps its process on one core, as ``taskset`` and systemd's ``CPUAffinity`` do."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    async def get(self, path: str) -> bytes:
        """Requests a path of a gateway's API. Raises urllib's HTTPError, and OSError."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.http_url + path, headers=headers)

        def read() -> bytes:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        return await asyncio.to_thread(read)

    @contextlib.contextmanager
    def stopped(self) -> Any:
        """Stops its processes (SIGSTOP), so that published events accumulate in the log."""
        pids = trees([self.pid])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[tuple[str, str, Path]]:
    """Empty NATS and Valkey servers: yields their URLs and a directory."""
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="bench-") as directory:
        embedded = EmbeddedServers(Path(directory) / "servers")
        try:
            nats_url, redis_url = await embedded.start()
            assert nats_url
            assert redis_url
            yield nats_url, redis_url, Path(directory)
        finally:
            await embedded.stop()


@contextlib.asynccontextmanager
async def program(kind: str, config: dict[str, Any], workers: int = 1) -> AsyncIterator[Program]:
    """Runs a program with its own servers: ``gateway``, ``lean`` (a gateway without lifecycle
    events and enrichment), ``unrouted`` (a gateway that routes nothing), ``stock`` or ``taskqueue``
    (see these modules). ``workers``: processes of a gateway."""
    async with servers() as where, beside(*where, kind, config, workers) as running:
        yield running


@contextlib.asynccontextmanager
async def beside(
    nats_url: str,
    redis_url: str,
    directory: Path,
    kind: str,
    config: dict[str, Any],
    workers: int = 1,
) -> AsyncIterator[Program]:
    """Runs a program with servers that run already."""
    where = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    path = directory / "config.json"
    path.write_text(json.dumps(config | where))
    ready = directory / "data" / "endpoints.json"
    ready.parent.mkdir(mode=0o700)
    module = {"gateway": "event_gateway"}.get(kind, f"bench.{kind}")
    command = [sys.executable, "-m", module]
    if kind in GATEWAYS:
        command += ["serve", "-c", str(path), "--port", "0", "--data-dir", str(ready.parent)]
        command += ["--workers", str(workers)] if workers > 1 else []
    else:
        command += [str(path), str(ready)]
    began = time.monotonic()
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            command,
            stdout=output,
            stderr=output,
            env=os.environ | ENVIRON,
            preexec_fn=killed_with_parent,
        )
    try:
        await _ready(process, ready, directory / "output")
        running = Program(process, nats_url, redis_url, directory, began)
        if kind in GATEWAYS:
            running.http_url = json.loads(ready.read_text())["http"]
            running.key = (ready.parent / "admin.key").read_text().strip()
        yield running
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


async def _ready(process: "subprocess.Popen[bytes]", file: Path, output: Path) -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the program did not start:\n{output.read_text()}")
        await asyncio.sleep(0.005)


async def settled(program: Program, events: int) -> None:
    """Returns once the first ``events`` events of the log are acknowledged."""
    bus = await nats.connect(program.nats_url)
    js = bus.jetstream()
    while True:
        reader = await js.consumer_info(STREAM, READER)
        if reader.ack_floor is not None and reader.ack_floor.stream_seq >= events:
            break
        await asyncio.sleep(0.02)
    await bus.close()
