"""The real program as a child process, to be started, killed and started again."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import yaml

from support.gateway_process import GatewayProcess
from support.patience import PATIENCE

# Receivers in tests are on the loopback, which is refused unless it is allowed.
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
        """Starts it; gives its endpoints and its key once it is ready."""
        endpoints = self.data / "endpoints.json"
        endpoints.unlink(missing_ok=True)  # a killed one leaves its own behind
        self._process = self._run()
        async with asyncio.timeout(timeout):
            while not endpoints.exists():
                assert self._process.poll() is None, self.output
                await asyncio.sleep(0.02)
        found: dict[str, Any] = json.loads(endpoints.read_text())
        return found | {"key": (self.data / "admin.key").read_text()}

    async def start_fails(self, timeout: float = PATIENCE) -> int:
        """Starts it; gives its exit status when it has ended by itself."""
        self._process = self._run()
        return await self.ended(timeout)

    def _run(self) -> GatewayProcess:
        words = ["serve", "-c", str(self._config), "--port", "0", "--data-dir", str(self.data)]
        with (self._directory / "output").open("a") as output, Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            return GatewayProcess([*words, *self._words], streams, environ=self.environ)

    async def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit status, once it has ended by itself."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, timeout)

    @property
    def last_line(self) -> str:
        """The last line that it has printed."""
        return self.output.rstrip().rpartition("\n")[2]

    @property
    def output(self) -> str:
        """All that it has printed, over all starts."""
        path = self._directory / "output"
        return path.read_text() if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    async def reload(self, config: dict[str, Any] | str, says: str) -> str:
        """Writes the file and sends SIGHUP; gives the output since, once it contains ``says``."""
        before = len(self.output)
        self.configure(config)
        os.kill(self.pid, signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while says not in self.output[before:]:
                await asyncio.sleep(0.02)
        return self.output[before:]

    def kill(self) -> None:
        """Ends it as a power cut would: no handler runs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self, timeout: float = PATIENCE) -> int:
        """SIGTERM; gives the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        return await asyncio.to_thread(self._process.wait, timeout)


def server_pids(data: Path) -> dict[str, int]:
    return {name: int((data / f"{name}.pid").read_text()) for name in ("nats", "valkey")}
