"""Processes of ``event-gateway``, forked from an interpreter that has imported it already.

No process outlives the test run: when the test runner ends, the interpreter ends, and with it all
processes that it has forked.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

SCRIPT = Path(__file__).with_name("warm_interpreter.py")


class GatewayProcess:
    """Like :class:`subprocess.Popen` of ``event-gateway WORDS``.

    ``streams`` are file descriptors for standard input, output and error, which the caller closes.
    ``terminal``: standard input becomes the controlling terminal of a session of its own.
    """

    def __init__(
        self,
        words: list[str],
        streams: tuple[int, int, int],
        *,
        environ: dict[str, str],
        directory: Path | None = None,
        terminal: bool = False,
    ) -> None:
        ours, theirs = os.pipe()
        request = {
            "argv": words, "cwd": str(directory or Path.cwd()), "environ": environ,
            "terminal": terminal,
        }  # fmt: skip
        socket.send_fds(_interpreter(), [json.dumps(request).encode()], [*streams, theirs])
        os.close(theirs)
        self._report = os.fdopen(ours, "rb")
        self.returncode: int | None = None
        self._reading = threading.Lock()  # tests wait in a thread, and look from another one
        self.pid = int(self._report.readline())
        _started.append((self, f"{os.environ.get('PYTEST_CURRENT_TEST')}: {' '.join(words)}"))

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once the process has ended. Raises subprocess.TimeoutExpired."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("event-gateway", timeout or 0)
        return status

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with contextlib.suppress(ValueError):  # another thread has closed the report meanwhile
                readable, _, _ = select.select([self._report], [], [], timeout)
                with self._reading:
                    if readable and self.returncode is None:
                        self.returncode = int(self._report.readline() or -signal.SIGKILL)
                        self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


_requests: socket.socket | None = None
_warm: subprocess.Popen[bytes] | None = None
_started: list[tuple[GatewayProcess, str]] = []


def still_running() -> list[str]:
    """The processes that have not ended: the test that started each, and its arguments."""
    return [description for process, description in _started if process.poll() is None]


def _interpreter() -> socket.socket:
    """The socket to the warm interpreter of this process, which is started on first use."""
    global _requests, _warm
    if _requests is None:
        _requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        # Without the name of the present test: it serves all later tests too.
        environ = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        with theirs:
            _warm = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env=environ,
            )  # fmt: skip
        atexit.register(_end_interpreter)
    return _requests


def _end_interpreter() -> None:
    """Ends the warm interpreter, and with it every process that it has forked."""
    if _requests is not None and _warm is not None:
        _requests.close()
        _warm.wait()
