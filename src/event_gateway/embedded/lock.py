"""The lock on a data directory: one gateway uses it at a time."""

import contextlib
import os
import sys
from pathlib import Path


class DirectoryInUse(Exception):
    """Another gateway uses the directory; the text says which."""


class DirectoryLock:
    """A lock that is held from :meth:`take` to :meth:`release`, or until the process ends.

    The operating system releases it, and child processes do not inherit it, so a killed gateway
    leaves no lock behind.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._descriptor: int | None = None

    def take(self) -> None:
        """Takes the lock. Raises DirectoryInUse; OSError if the directory is not writable."""
        path = self._directory / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise DirectoryInUse(
                f"the data directory {self._directory} is in use by another gateway"
                f"{f' (process {holder})' if holder else ''}; give each its own --data-dir"
            ) from None
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(os.getpid()).ljust(12).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Releases the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Locks a byte far after the process id, which stays readable.
        os.lseek(descriptor, 1024, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
