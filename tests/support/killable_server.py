"""A server as a child process that can be killed, paused and started again."""

import os
import signal
import subprocess
from pathlib import Path

from event_gateway.embedded.process import ended_with_parent
from support.stopping import stop_process


class KillableServer:
    """What it prints goes to the file ``output``."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts it, unless it runs."""
        if self.runs:
            return
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                **ended_with_parent(self.command(), signal.SIGKILL), stdout=output, stderr=output
            )

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self._output.read_text()

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Stops it until :meth:`go_on`: its connections stay open, and nothing is answered."""
        if self._process is not None and self._process.poll() is None:
            stop_process(self._process.pid)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
