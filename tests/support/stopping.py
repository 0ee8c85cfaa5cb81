"""Stops a process for a while."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from support.patience import PATIENCE


def stop_process(pid: int) -> None:
    """Returns once a process is stopped, with all its threads (SIGCONT lets it go on).

    One thread takes the signal and stops the others: until that thread runs, which may take a while
    on a busy machine, the others go on.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE
    while sys.platform == "linux" and _runs(pid):
        assert time.monotonic() < deadline, f"the process {pid} is not stopped"
        time.sleep(0.001)


def _runs(pid: int) -> bool:
    """Whether a thread of a process is not stopped."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            # The state follows the name, which is in brackets.
            if thread.read_text().rpartition(") ")[2][0] not in "TtZ":
                return True
    return False
