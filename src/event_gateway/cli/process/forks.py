"""Forks the processes of ``serve --workers`` from one that has imported the gateway.

Importing the gateway takes a second of CPU and 70 MB of memory. Forked processes take neither: they
share the memory of what was imported before. The process that forks has neither threads nor an
event loop, because a fork copies the state of both and continues with one thread.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from event_gateway.embedded.process import killed_with_parent

MAX_MESSAGE = 1024 * 1024  # bytes
MAX_DESCRIPTORS = 8
# A service manager may send these to all processes of the gateway: they are for the workers.
_FOR_WORKERS = [
    each for each in signal.Signals if each.name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
]

Request = tuple[bytes, list[int]]
Work = Callable[[bytes, list[int]], int]


class ForkServer:
    """A child process that forks on request. Made before this process has threads or a loop.

    ``work`` is called in each forked process with a message and file descriptors; it returns the
    exit status. In the child process and in the forked processes the constructor does not return:
    it raises SystemExit.
    """

    def __init__(self, work: Work) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_MESSAGE)
        gc.freeze()  # a collection would write to the memory that the processes share
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # its reader is gone, or its disk is full
                stream.flush()
        self.pid = os.fork()
        self._ended = False
        if self.pid:
            theirs.close()
            return
        self._requests.close()
        os.setsid()  # Ctrl-C in the terminal goes to the first process only
        if sys.platform == "linux":
            killed_with_parent()
        request = forked(theirs)
        sys.exit(0 if request is None else work(*request))

    @property
    def alive(self) -> bool:
        """Whether the process that forks is there. Without it the workers end too."""
        self._ended = self._ended or os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return not self._ended

    def fork(self, message: bytes, descriptors: Sequence[int]) -> "ForkedProcess":
        """Forks a process that works with copies of these descriptors. Raises OSError."""
        return ForkedProcess(self._requests, message, descriptors)

    def close(self) -> None:
        """Ends the process that forks."""
        self._requests.close()
        if self.alive:
            os.waitpid(self.pid, 0)
            self._ended = True


class ForkedProcess:
    """A forked process. Raises OSError if it cannot be forked."""

    def __init__(self, requests: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
        ours, theirs = os.pipe()
        self._report = os.fdopen(ours, "rb", buffering=0)
        self.returncode: int | None = None
        try:
            socket.send_fds(requests, [message], [*descriptors, theirs])
        except OSError:
            self._report.close()
            raise
        finally:
            os.close(theirs)
        line = self._report.readline()
        if not line:
            self._report.close()
            raise OSError("the process that forks the others cannot do so")
        self.pid = int(line)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            # Nothing: the process that forks has ended, and this one with it.
            self.returncode = int(self._report.readline() or -signal.SIGKILL)
            self._report.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def forked(requests: socket.socket) -> Request | None:
    """Forks a process for each request; returns None when the other end is closed.

    In a forked process: returns its request, the message and the descriptors. The last descriptor
    of a request is for the report: the process id, and the exit status once the process has ended,
    a line each.
    """
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    for number in (*_FOR_WORKERS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    reports: dict[int, int] = {}
    while True:
        readable = select.select([requests.fileno(), woken], [], [])[0]
        if woken in readable:
            os.read(woken, 4096)
            _reap(reports)
        if requests.fileno() not in readable:
            continue
        message, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE, MAX_DESCRIPTORS)
        if not message:
            return None
        *given, report = descriptors
        # A signal that comes before the process handles it is for the process, not for this code.
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_WORKERS)
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            for inherited in (*reports.values(), woken, wake, report):
                os.close(inherited)
            requests.close()
            _reset_signals()
            return message, given
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_WORKERS)
        for descriptor in given:
            os.close(descriptor)
        if pid < 0:
            os.close(report)
        else:
            reports[pid] = report
            _tell(report, pid)


def _reset_signals() -> None:
    """Handles signals as a new process does."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_WORKERS)


def _reap(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        _tell(report, os.waitstatus_to_exitcode(status))
        os.close(report)


def _tell(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the first process waits no longer
        os.write(report, b"%d\n" % number)
