"""Finds processes that a test has started and that still run after the test run.

Forked gateways are known to the test process, children are those of its process id, and their own
children are recognized by their environment.
"""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from support import gateway_process, warm_workers

RUN = "TEST_RUN_ID"  # in the environment of all processes that a run starts
TEST = "PYTEST_CURRENT_TEST"  # pytest sets it while a test runs
GRACE = 15.0  # seconds for processes to end
# The status of a run that has left processes, whether or not a test failed: where all failed tests
# pass when they run again, that must not count as passed.
OUTLIVED = 10
# Parts of the command lines of the warm interpreter, of the process that forks workers, and of
# xdist's workers.
OF_THE_RUN = (str(gateway_process.SCRIPT), warm_workers.MODULE, "exec(eval(sys.stdin")


class Leftovers:
    """The processes of one test run, known by a variable of their environment."""

    def __init__(self, *, worker: bool) -> None:
        """``worker``: this process is a worker of xdist, whose environment has the run's mark."""
        if not worker:
            # Also for a run within a run, such as that of the README's commands.
            os.environ[RUN] = secrets.token_hex(8)
        self._mark = f"{RUN}={os.environ[RUN]}".encode()

    def end(self) -> list[str]:
        """Kills processes that still run after a grace period; returns test, id and command line
        of each."""
        deadline = time.monotonic() + GRACE
        while (processes := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(processes.values())

    def of_this_process(self) -> list[str]:
        """The processes that this process has started and that run after a grace period."""
        deadline = time.monotonic() + GRACE
        while (processes := [*gateway_process.still_running(), *_children()]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        return processes

    def _processes(self) -> dict[int, str]:
        processes = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environ = (path / "environ").read_bytes().split(b"\0")
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue  # it has ended, or belongs to another user
            tests = [entry for entry in environ if entry.startswith(TEST.encode())]
            if command and tests and self._mark in environ:
                test = tests[0].partition(b"=")[2].decode()
                processes[int(path.name)] = f"{test}: {path.name} {command[:200]}"
        return processes


def _children() -> list[str]:
    """The running children of this process, without those of the test run itself."""
    children = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            own = any(text in command for text in OF_THE_RUN)
            if int(parent) == os.getpid() and state != "Z" and not own:
                children.append(f"{path.name} {command[:200]}")
    return children
