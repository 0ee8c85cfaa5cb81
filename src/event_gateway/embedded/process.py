"""Runs an embedded server as a child process that ends with the gateway."""

import asyncio
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypedDict

NEW_LOG = 64 * 1024  # bytes of a log that are read at a time
MAX_LOG = 10 * 1024 * 1024  # bytes after which a log is moved to ``.log.old``
_PR_SET_PDEATHSIG = 1
_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
    "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG",
})  # fmt: skip
# A script makes some thousand small objects for Valkey's append-only file and frees them at its
# end. By default glibc keeps 7 of each size for the next allocation; here 16,384 of each up to 256
# bytes (36 MiB at most), so that no script merges and splits the free memory again.
_TUNABLES = "glibc.malloc.tcache_count=16384:glibc.malloc.tcache_max=256"
_LINUX = sys.platform == "linux"


class EmbeddedServerError(Exception):
    """A server does not start or does not answer; the text is one line."""


class ServerProcess:
    """A child process with its log and its pid file, in ``directory``.

    ``mark`` is a text in the command line of this server and of no other process.
    """

    def __init__(self, name: str, mark: str, directory: Path) -> None:
        self.name = name
        self._mark = mark
        self._log = directory / "logs" / f"{name}.log"
        self._pid_file = directory / f"{name}.pid"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_read = 0  # bytes of the log, by :meth:`new_log`
        self.started = 0.0

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process that was started last; 0 before."""
        return 0 if self._process is None else self._process.pid

    def start(self, command: list[str]) -> None:
        """Starts the server. Raises OSError."""
        self._log.parent.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(OSError):  # the disk is full
            self.limit_log()
        with self._log.open("ab") as log:
            self._log_read = log.tell()
            self._process = start_child(command, log)
        self._write_pid(self._process.pid)
        self.started = time.monotonic()

    def limit_log(self, limit: int = MAX_LOG) -> None:
        """Moves a log of over ``limit`` bytes to ``.log.old``.

        The server has the file open for appending, so it goes on writing at the new end.
        """
        try:
            size = os.stat(self._log).st_size
        except FileNotFoundError:
            return
        if size > limit:
            shutil.copyfile(self._log, self._log.with_suffix(".log.old"))
            os.truncate(self._log, 0)

    def _write_pid(self, pid: int) -> None:
        # In place: on a full disk a file that was made shorter could not be written again.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._pid_file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, str(pid).ljust(12).encode(), 0)
            finally:
                os.close(descriptor)

    def new_log(self) -> bytes:
        """What the server has logged since the last call, or since it was started; of much, the
        last part."""
        try:
            size = self._log.stat().st_size
            if size == self._log_read:
                return b""
            begin = self._log_read if size > self._log_read else 0
            self._log_read = size
            with self._log.open("rb") as file:
                file.seek(max(begin, size - NEW_LOG))
                return file.read(NEW_LOG)
        except OSError:
            return b""

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
        """An error that says what went wrong, with the log's last line."""
        line = self.last_log_line()
        last = f"; its last log line: {line}" if line else ""
        return EmbeddedServerError(f"the embedded {self.name} {what}{last} (log: {self._log})")

    def last_log_line(self) -> str:
        """The last line of its log; empty if there is none."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].strip() if lines else ""

    async def wait_for_previous(self) -> None:
        """Waits until the server that an earlier gateway started in this directory has ended."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return
        deadline = time.monotonic() + 10
        while self._is_this_server(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += 5
            await asyncio.sleep(0.05)

    def _is_this_server(self, pid: int) -> bool:
        """Whether the process with this id is the server, and not a later process with its id."""
        try:
            command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            if Path("/proc/self").exists():
                return False
            shown = subprocess.run(
                ["/bin/ps", "-p", str(pid), "-o", "args="], capture_output=True, check=False
            )
            command_line = shown.stdout
        return self._mark.encode() in command_line


# For systems that do not signal a child when its parent ends: the input of the shell is a pipe
# whose other end only the gateway has. Reading from it returns when the gateway has ended.
_WATCH = """
exec 3<&0
"$@" 3<&- </dev/null & server=$!
trap 'kill $server' TERM
(read -r _ <&3; kill $server) 2>/dev/null & watch=$!
while kill -0 $server 2>/dev/null; do wait $server; status=$?; done
kill $watch 2>/dev/null
exit $status
"""


_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'


def start_child(
    command: list[str], log: BinaryIO, *, by_pipe: bool = os.name == "posix" and not _LINUX
) -> subprocess.Popen[bytes]:
    """Starts a command that ends when this process ends, even by ``kill -9``.

    Linux sends the signal itself; elsewhere a shell reads from a pipe (``by_pipe``). On Windows the
    command is not ended.
    """
    if by_pipe:
        command = ["/bin/sh", "-c", _WATCH, "sh", *command]
    started = Started(args=command, preexec_fn=None)
    if _LINUX and not by_pipe:
        started = ended_with_parent(command, signal.SIGTERM)
    return subprocess.Popen(
        **started,
        stdin=subprocess.PIPE if by_pipe else subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(),
        # A session of its own: Ctrl-C must reach only the gateway, which stops its servers last.
        start_new_session=True,
    )


class Started(TypedDict):
    """What :class:`subprocess.Popen` is to run."""

    args: list[str]
    preexec_fn: Callable[[], None] | None


def ended_with_parent(command: list[str], by: signal.Signals) -> Started:
    """A command to which Linux sends the signal ``by`` when the process that starts it ends.

    Asked for by ``setpriv`` of util-linux, which then becomes the command, where that works: a
    function of our own between fork and exec would have Python copy the page tables of this
    process, and each page that it writes to meanwhile (4 to 10 ms and as much again afterwards).
    """
    setpriv = _setpriv()
    if setpriv:
        # Linux sends nothing if this process has ended before it was asked: the shell looks.
        shell = ["/bin/sh", "-c", _UNLESS_ORPHANED, str(os.getpid())]
        words = [setpriv, "--pdeathsig", by.name.removeprefix("SIG"), "--", *shell, *command]
        return Started(args=words, preexec_fn=None)
    return Started(args=command, preexec_fn=functools.partial(_die_with_parent, by))


@functools.cache
def _setpriv() -> str | None:
    """The path of ``setpriv``, if it works here. It is tried: that of BusyBox, and of util-linux
    before 2.33, does not know the option, and it sets its own capabilities whatever it is asked
    for, which the filter of system calls of our systemd service refuses."""
    found = shutil.which("setpriv")
    if found is None:
        return None
    nothing = subprocess.DEVNULL
    try:
        tried = subprocess.run(
            [found, "--pdeathsig", "TERM", "--", "/bin/sh", "-c", ":"],
            stdin=nothing, stdout=nothing, stderr=nothing, env=_environment(), check=False,
        )  # fmt: skip
    except OSError:
        return None
    return found if tried.returncode == 0 else None


def _environment() -> dict[str, str]:
    """The part of the environment that servers need, without the gateway's secrets."""
    given = {name: value for name, value in os.environ.items() if name.upper() in _PASSED_ON}
    return {"GLIBC_TUNABLES": _TUNABLES} | given


def killed_with_parent() -> None:
    """Runs in a child process: Linux sends it SIGKILL when its parent ends in any way."""
    _die_with_parent(signal.SIGKILL)


def _die_with_parent(with_signal: signal.Signals) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, with_signal)
