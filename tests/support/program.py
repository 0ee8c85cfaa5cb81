"""The real program as a child process that can be started, killed and started again."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

from support.client import Client, connected
from support.gateway_process import GatewayProcess
from support.patience import PATIENCE

# Receivers in tests are on the loopback interface, which the egress guard refuses by default.
LOOPBACK = {"delivery": {"allow_networks": ["127.0.0.0/8"]}}


class Program:
    """``event-gateway serve`` with a data directory that outlives it."""

    def __init__(
        self, directory: Path, config: dict[str, Any], *words: str, **environ: str
    ) -> None:
        """``words`` are further arguments of the command."""
        self._directory = directory
        self._words = words
        self._config = directory / "gateway.yaml"
        self.configure(config)
        self.environ = os.environ | environ
        self._process: GatewayProcess | None = None
        self.data = directory / "data"

    def configure(self, config: dict[str, Any] | str) -> None:
        """Writes its configuration file."""
        self._config.write_text(config if isinstance(config, str) else yaml.safe_dump(config))

    async def start(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Starts it, waits until it is ready, and returns its endpoints and its key."""
        file = self.data / "endpoints.json"
        file.unlink(missing_ok=True)  # a killed program leaves its file behind
        self._process = self._run()
        async with asyncio.timeout(timeout):
            while not file.exists():
                assert self._process.poll() is None, self.output
                await asyncio.sleep(0.02)
        endpoints: dict[str, Any] = json.loads(file.read_text())
        return endpoints | {"key": (self.data / "admin.key").read_text()}

    async def start_fails(self, timeout: float = PATIENCE) -> int:
        """Starts it, waits until it has ended by itself, and returns its exit status."""
        self._process = self._run()
        return await self.ended(timeout)

    def _run(self) -> GatewayProcess:
        # The console is left out, as it takes half a second of CPU; its tests say --console.
        words = ["serve", "-c", str(self._config), "--port", "0", "--data-dir", str(self.data),
                 "--no-console"]  # fmt: skip
        with (self._directory / "output").open("a") as output, Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            return GatewayProcess([*words, *self._words], streams, environ=self.environ)

    async def ended(self, timeout: float = PATIENCE) -> int:
        """Waits until it has ended by itself, and returns its exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, timeout)

    @property
    def last_line(self) -> str:
        """The last line that it has printed."""
        return self.output.rstrip().rpartition("\n")[2]

    @property
    def output(self) -> str:
        """Its whole output, over all starts."""
        path = self._directory / "output"
        return path.read_text() if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it is running."""
        return self._process is not None and self._process.poll() is None

    async def reload(self, config: dict[str, Any] | str, message: str) -> str:
        """Writes the configuration file, sends SIGHUP, waits until the output contains ``message``,
        and returns the output since the signal."""
        before = len(self.output)
        self.configure(config)
        os.kill(self.pid, signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while message not in self.output[before:]:
                await asyncio.sleep(0.02)
        return self.output[before:]

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self, timeout: float = PATIENCE) -> int:
        """Sends SIGTERM, waits for its end, and returns its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        return await asyncio.to_thread(self._process.wait, timeout)


@contextlib.asynccontextmanager
async def running(program: Program) -> AsyncIterator[Client]:
    """Starts a program, yields its clients, and stops it at the end."""
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            yield client
    finally:
        await program.stop()


def server_pids(data: Path) -> dict[str, int]:
    return {name: int((data / f"{name}.pid").read_text()) for name in ("nats", "valkey")}


def children(pid: int) -> set[int]:
    """The processes that a process has started and that run."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def worker_pids(pid: int) -> set[int]:
    """The workers of ``serve --workers``: ``pid`` is that of its first process."""
    return {worker for child in children(pid) for worker in children(child)}
