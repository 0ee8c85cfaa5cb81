"""The gateway whose calls are measured, as a program, and those who call it."""

import http.client
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from event_gateway.embedded.process import killed_with_parent

SLOW = 5000  # us from which on Valkey notes a command


class Gateway:
    """The program with its servers, and a connection to its API."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._config = directory / "gateway.yaml"
        self._config.write_text(json.dumps({
            "delivery": {"allow_networks": ["127.0.0.0/8"]}, "ingest": {"subjects": ["bench.>"]},
        }))  # fmt: skip
        self._log = (directory / "log").open("w")

    def start(self) -> float:
        """Gives the seconds until it is ready."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "event_gateway", "serve", "-c", str(self._config),
             "--port", "0", "--data-dir", str(self.data)],
            stdout=self._log, stderr=self._log, preexec_fn=killed_with_parent,
        )  # fmt: skip
        endpoints = self.data / "endpoints.json"
        while not endpoints.exists():
            assert self.process.poll() is None, f"the gateway has ended: {self._last_words()}"
            time.sleep(0.01)
        self.at = json.loads(endpoints.read_text())
        self.key = (self.data / "admin.key").read_text()
        self.api = Api(self.at["http"], self.key)
        while self.api.ask("GET", "/readyz")[0] != 200:
            time.sleep(0.01)
        return time.monotonic() - began

    def stop(self) -> float:
        """Gives the seconds that it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait()

    def memory(self) -> float:
        """MiB that the gateway's process has in memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def _last_words(self) -> str:
        return Path(self._log.name).read_text()[-500:]


class Api:
    """Calls over one kept connection."""

    def __init__(self, url: str, key: str) -> None:
        self._at, self._headers = urlsplit(url).netloc, {"X-API-Key": key}
        self._connection = http.client.HTTPConnection(self._at, timeout=600)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, float, int]:
        """Status, answer, milliseconds, and bytes of the answer."""
        sent = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if sent is None else {"Content-Type": "application/json"})
        if self._connection.sock is None:
            self._connection.connect()
        began = time.perf_counter()
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            got = answer.read()
        except http.client.RemoteDisconnected:  # it was idle for too long
            self._connection.close()
            return self.ask(method, path, body)
        took = (time.perf_counter() - began) * 1000
        try:
            said = json.loads(got) if got else None
        except ValueError:
            said = got
        return answer.status, said, took, len(got)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a call that must succeed."""
        status, said, _, _ = self.ask(method, path, body)
        assert status < 300, (method, path, status, said)
        return said


def _ping(url: str, key: str, begun: Any, worst: Any) -> None:
    """A process: another caller, who notes the longest that it has waited."""
    killed_with_parent()
    api = Api(url, key)
    while True:
        begun.value = time.monotonic()
        api.ask("GET", "/healthz")
        took, begun.value = time.monotonic() - begun.value, 0.0
        if took > worst.value:
            worst.value = took
        time.sleep(0.004)


class Pinger:
    """The longest that the other caller waits."""

    def __init__(self, gateway: Gateway) -> None:
        self._begun, self._worst = multiprocessing.Value("d", 0.0), multiprocessing.Value("d", 0.0)
        args = (gateway.at["http"], gateway.key, self._begun, self._worst)
        self._process = multiprocessing.Process(target=_ping, args=args, daemon=True)
        self._process.start()

    def reset(self) -> None:
        self._worst.value = 0.0

    def held(self) -> float:
        """Milliseconds since the last reset."""
        begun = self._begun.value
        waits = time.monotonic() - begun if begun else 0.0
        return max(waits, float(self._worst.value)) * 1000

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
