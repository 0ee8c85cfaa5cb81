"""The gateway whose API calls are measured, as a program, and its callers."""

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

SLOW = 5000  # us from which Valkey logs a command as slow


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
        """Starts the program and returns the seconds until it is ready."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "event_gateway", "serve", "-c", str(self._config),
             "--port", "0", "--data-dir", str(self.data)],
            stdout=self._log, stderr=self._log, preexec_fn=killed_with_parent,
        )  # fmt: skip
        endpoints = self.data / "endpoints.json"
        while not endpoints.exists():
            assert self.process.poll() is None, f"the gateway has ended: {self._end_of_log()}"
            time.sleep(0.01)
        self.at = json.loads(endpoints.read_text())
        self.key = (self.data / "admin.key").read_text()
        self.api = Api(self.at["http"], self.key)
        while self.api.request("GET", "/readyz")[0] != 200:
            time.sleep(0.01)
        return time.monotonic() - began

    def stop(self) -> float:
        """Ends the program and returns the seconds until its end."""
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
        """The resident memory of the gateway's process in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def _end_of_log(self) -> str:
        return Path(self._log.name).read_text()[-500:]


class Api:
    """Calls the API over one connection."""

    def __init__(self, url: str, key: str) -> None:
        self._at, self._headers = urlsplit(url).netloc, {"X-API-Key": key}
        self._connection = http.client.HTTPConnection(self._at, timeout=600)

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any, float, int]:
        """Sends a request; returns status, decoded body, milliseconds, and bytes of the body."""
        sent = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if sent is None else {"Content-Type": "application/json"})
        if self._connection.sock is None:
            self._connection.connect()
        began = time.perf_counter()
        try:
            self._connection.request(method, path, sent, headers)
            response = self._connection.getresponse()
            received = response.read()
        except http.client.RemoteDisconnected:  # the connection was idle for too long
            self._connection.close()
            return self.request(method, path, body)
        took = (time.perf_counter() - began) * 1000
        try:
            content = json.loads(received) if received else None
        except ValueError:
            content = received
        return response.status, content, took, len(received)

    def result(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request that must succeed, and returns the decoded body."""
        status, content, _, _ = self.request(method, path, body)
        assert status < 300, (method, path, status, content)
        return content


def _ping(url: str, key: str, pause: float, began: Any, longest: Any) -> None:
    """A process that calls /healthz again and again, and records the longest response time."""
    killed_with_parent()
    api = Api(url, key)
    while True:
        began.value = time.monotonic()
        api.request("GET", "/healthz")
        took, began.value = time.monotonic() - began.value, 0.0
        if took > longest.value:
            longest.value = took
        time.sleep(pause)


class Pinger:
    """Measures the longest response time of a concurrent caller, while the gateway is busy.

    ``pause``: seconds between its calls.
    """

    def __init__(self, gateway: Gateway, pause: float) -> None:
        self._began = multiprocessing.Value("d", 0.0)
        self._longest = multiprocessing.Value("d", 0.0)
        args = (gateway.at["http"], gateway.key, pause, self._began, self._longest)
        self._process = multiprocessing.Process(target=_ping, args=args, daemon=True)
        self._process.start()

    def reset(self) -> None:
        self._longest.value = 0.0

    def longest(self) -> float:
        """The longest response time since the last reset, in milliseconds."""
        began = self._began.value
        waiting = time.monotonic() - began if began else 0.0
        return max(waiting, float(self._longest.value)) * 1000

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
