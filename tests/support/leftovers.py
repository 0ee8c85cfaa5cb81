"""Finds processes that were started by a test and live on after the run."""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

RUN = "TEST_RUN_ID"  # in the environment of all that is started during a run
TEST = "PYTEST_CURRENT_TEST"  # pytest sets it while a test runs
GRACE = 15.0  # seconds in which what was told to end may still do so


class Leftovers:
    """The processes of one test run, known by a variable of their environment."""

    def __init__(self) -> None:
        if "PYTEST_XDIST_WORKER" not in os.environ:
            # A run within a run counts its own.
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
