"""Processes of ``event-gateway``, forked from an interpreter that has imported it already.

All workers of a test run share the interpreter. No process outlives the test run: when a worker
ends, the processes that were forked for it end; when the test runner ends, the interpreter ends,
and with it all processes that it has forked.
"""

import atexit
import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

ADDRESS = "TEST_RUN_INTERPRETER"  # in the environment: the name of the interpreter's socket
SCRIPT = Path(__file__).with_name("warm_interpreter.py")


class GatewayProcess:
    """Like :class:`subprocess.Popen` of ``event-gateway WORDS``, or of ``python -m MODULE WORDS``.

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
        module: str = "event_gateway",
    ) -> None:
        ours, theirs = os.pipe()
        request = {
            "module": module, "argv": words, "cwd": str(directory or Path.cwd()),
            "environ": environ, "terminal": terminal,
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
_started: list[tuple[GatewayProcess, str]] = []


def still_running() -> list[str]:
    """The processes that have not ended: the test that started each, and its arguments."""
    return [description for process, description in _started if process.poll() is None]


def offer_interpreter() -> None:
    """Starts the warm interpreter of this test run once this process or a worker needs it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    address = f"event-gateway-tests-{secrets.token_hex(8)}"
    listener.bind(f"\0{address}")
    listener.listen(64)
    os.environ[ADDRESS] = address
    # The interpreter ends with the thread that has started it.
    threading.Thread(target=_start_interpreter, args=(listener,), daemon=True).start()


def _start_interpreter(listener: socket.socket) -> None:
    select.select([listener], [], [])
    # Without the name of the present test: it serves all later tests too.
    environ = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    with listener, subprocess.Popen(
        [sys.executable, str(SCRIPT), str(listener.fileno())], pass_fds=[listener.fileno()],
        env=environ,
    ) as interpreter:  # fmt: skip
        atexit.register(_end, interpreter)
        interpreter.wait()


def _end(interpreter: subprocess.Popen[bytes]) -> None:
    interpreter.kill()
    interpreter.wait()


def forked_command(module: str = "event_gateway") -> list[str]:
    """A command that another program may call in place of ``python -m MODULE``."""
    script = SCRIPT.with_name("forked_command.py")
    return [sys.executable, "-I", "-S", str(script), _address(), module]


def _address() -> str:
    if ADDRESS not in os.environ:
        offer_interpreter()
    return os.environ[ADDRESS]


def _interpreter() -> socket.socket:
    """The connection of this process to the warm interpreter."""
    global _requests
    if _requests is None:
        _requests = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        _requests.connect(f"\0{_address()}")
        atexit.register(_requests.close)
    return _requests
