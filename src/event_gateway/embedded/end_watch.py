"""Tells at once that a child process has ended, where the system can say so."""

import asyncio
import os
import sys
from collections.abc import Callable


class EndWatch:
    """Watches one process by a descriptor that becomes readable when the process ends.

    Linux has had these since 5.3; a container's filter of system calls may refuse them, and a
    Python that was built for older systems may not know them.
    """

    def __init__(self, pid: int, ended: Callable[[], None]) -> None:
        """``ended`` is called once, unless the watch is closed before. Raises OSError where the
        system cannot watch a process."""
        if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
            raise OSError("there are no descriptors of processes")
        self._ended = ended
        self._descriptor: int | None = None
        self._loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(pid)
        try:
            self._loop.add_reader(descriptor, self._end)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def close(self) -> None:
        """Ends the watch."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _end(self) -> None:
        self.close()  # the descriptor stays readable
        self._ended()
