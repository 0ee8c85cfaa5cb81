"""One server as a child process that does not outlive the gateway."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MAX_LOG = 10 * 1024 * 1024  # bytes after which a log is set aside at the next start
_PR_SET_PDEATHSIG = 1


class EmbeddedServerError(Exception):
    """A server does not start or does not answer; one line for whoever started the gateway."""


class ServerProcess:
    """A child process with its log and its pid file, in ``directory``.

    ``mark`` is found in the command line of this server and of no other process.
    """

    def __init__(self, name: str, mark: str, directory: Path) -> None:
        self.name = name
        self._mark = mark
        self._log = directory / "logs" / f"{name}.log"
        self._pid_file = directory / f"{name}.pid"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: list[str]) -> None:
        """Starts the server."""
        self._log.parent.mkdir(mode=0o700, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > MAX_LOG:
            self._log.replace(self._log.with_suffix(".log.old"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the gateway, which stops its servers last.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self._pid_file.write_text(str(self._process.pid))

    async def stop(self, timeout: float) -> None:
        """SIGTERM, then SIGKILL after ``timeout`` seconds."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            deadline = time.monotonic() + timeout
            while process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            if process.poll() is None:
                process.kill()
                process.wait()
        self._pid_file.unlink(missing_ok=True)

    def failure(self, what: str) -> EmbeddedServerError:
        """The error that says what went wrong, with the log's last line."""
        last = ""
        if self._log.exists():
            lines = self._log.read_text(errors="replace").strip().splitlines()
            last = f"; its last words: {lines[-1].strip()}" if lines else ""
        return EmbeddedServerError(f"the embedded {self.name} {what}{last} (log: {self._log})")

    async def former_gone(self) -> None:
        """Waits for a former gateway's server of this directory, which may still be ending."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return
        deadline = time.monotonic() + 10
        while self._is_ours(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += 5
            await asyncio.sleep(0.05)

    def _is_ours(self, pid: int) -> bool:
        """Whether the process of that id is this server, and not another one by chance."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            if Path("/proc/self").exists():
                return False
            shown = subprocess.run(
                ["/bin/ps", "-p", str(pid), "-o", "args="], capture_output=True, check=False
            )
            words = shown.stdout
        return self._mark.encode() in words


def _die_with_parent() -> None:
    """Runs in the child: asks Linux for SIGTERM when the gateway is gone, however it went."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
