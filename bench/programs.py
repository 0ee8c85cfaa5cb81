"""The programs that are compared, each a process of its own beside servers of its own."""

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

from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import EmbeddedServers

# Where there is a file system in memory the servers write there: a disk that others use, too,
# stalls for a tenth of a second now and then, whichever program is at it.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt"
STREAM = "GATEWAY_EVENTS"  # of all programs
READER = "router"  # and their consumer
ENVIRON = {"EVENT_GATEWAY_SECRET_KEY": SECRET, "PYTHONPATH": str(Path(__file__).parents[1])}


@dataclass
class Program:
    """A running program, its servers, and where its configuration and data are; ``began``: when its
    process did, in seconds of CLOCK_MONOTONIC."""

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

    async def get(self, path: str) -> bytes:
        """What a gateway's API answers. Raises urllib's HTTPError, and OSError."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.http_url + path, headers=headers)

        def read() -> bytes:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        return await asyncio.to_thread(read)

    @contextlib.contextmanager
    def stopped(self) -> Any:
        """Stands still, so that what is published meanwhile has to wait for it."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[tuple[str, str, Path]]:
    """NATS and Valkey with nothing in them: their URLs, and a directory."""
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
async def program(kind: str, config: dict[str, Any]) -> AsyncIterator[Program]:
    """One of ``gateway`` (with a gateway's configuration), ``lean`` (the same without lifecycle
    events and enrichment), ``stock`` and ``taskqueue`` (what others would write, see there)."""
    async with servers() as where, beside(*where, kind, config) as running:
        yield running


@contextlib.asynccontextmanager
async def beside(
    nats_url: str, redis_url: str, directory: Path, kind: str, config: dict[str, Any]
) -> AsyncIterator[Program]:
    """The same beside servers that run already."""
    where = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    path = directory / "config.json"
    path.write_text(json.dumps(config | where))
    ready = directory / "data" / "endpoints.json"
    ready.parent.mkdir(mode=0o700)
    module = {"gateway": "event_gateway"}.get(kind, f"bench.{kind}")
    command = [sys.executable, "-m", module]
    if kind in ("gateway", "lean"):
        command += ["serve", "-c", str(path), "--port", "0", "--data-dir", str(ready.parent)]
    else:
        command += [str(path), str(ready)]
    began = time.monotonic()
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it takes no time
            command,
            stdout=output,
            stderr=output,
            env=os.environ | ENVIRON,
            preexec_fn=killed_with_parent,
        )
    try:
        await _ready(process, ready, directory / "output")
        running = Program(process, nats_url, redis_url, directory, began)
        if kind in ("gateway", "lean"):
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
    """Returns once the log's first so many events are acknowledged."""
    bus = await nats.connect(program.nats_url)
    js = bus.jetstream()
    while True:
        reader = await js.consumer_info(STREAM, READER)
        if reader.ack_floor is not None and reader.ack_floor.stream_seq >= events:
            break
        await asyncio.sleep(0.02)
    await bus.close()
