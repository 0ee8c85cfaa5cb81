"""Finds processes that were started by a test and live on after the run.

A forked gateway is known to who started it, a child to its parent, and what these have started in
turn by its environment.
"""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from support import gateway_process

RUN = "TEST_RUN_ID"  # in the environment of all that is started during a run
TEST = "PYTEST_CURRENT_TEST"  # pytest sets it while a test runs
GRACE = 15.0  # seconds in which what was told to end may still do so


class Leftovers:
    """The processes of one test run, known by a variable of their environment."""

    def __init__(self, *, worker: bool) -> None:
        """``worker``: this process is a worker of xdist, and has the mark of its run."""
        if not worker:
            # Also where it is a run within a run, as of the README's commands.
            os.environ[RUN] = secrets.token_hex(8)
        self._mark = f"{RUN}={os.environ[RUN]}".encode()

    def end(self) -> list[str]:
        """Kills what still runs after a time of grace; gives its test, id and command line."""
        deadline = time.monotonic() + GRACE
        while (found := self._found()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(found.values())

    def of_this_process(self) -> list[str]:
        """What this process has started and has not ended, after a time of grace."""
        deadline = time.monotonic() + GRACE
        while (found := [*gateway_process.running_still(), *_children()]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        return found

    def _found(self) -> dict[int, str]:
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environ = (path / "environ").read_bytes().split(b"\0")
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue  # it has ended, or is somebody else's
            tests = [entry for entry in environ if entry.startswith(TEST.encode())]
            if command and tests and self._mark in environ:
                test = tests[0].partition(b"=")[2].decode()
                found[int(path.name)] = f"{test}: {path.name} {command[:200]}"
        return found


def _children() -> list[str]:
    """The children of this process that run, but for the warm interpreter and xdist's workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            own = str(gateway_process.SCRIPT) in command or "exec(eval(sys.stdin" in command
            if int(parent) == os.getpid() and state != "Z" and not own:
                found.append(f"{path.name} {command[:200]}")
    return found
