"""A disk of a few MiB, which a test fills and frees."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SIZE = 64 * 1024 * 1024
_SHARED = Path("/dev/shm")  # in a container: a small file system


class SmallDisk:
    """A directory on a file system of at most SIZE bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Uses all that is free, to the last byte."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

    def free(self) -> None:
        """Frees what :meth:`fill` has used."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[SmallDisk | None]:
    """Mounts one; where that is not allowed, uses the small one of a container. None where there
    is neither: then only :func:`limit_file_size` can keep a server from writing."""
    path = directory / "disk"
    path.mkdir()
    mounted = sys.platform == "linux" and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(path)],
        capture_output=True, check=False,
    ).returncode  # fmt: skip
    try:
        if mounted:
            yield SmallDisk(path)
        elif _SHARED.is_dir() and _size(_SHARED) <= SIZE:
            path = _SHARED / f"event-gateway-{os.getpid()}"
            path.mkdir()
            yield SmallDisk(path)
        else:
            yield None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
        elif path.parent == _SHARED:
            subprocess.run(["rm", "-r", str(path)], check=True)


def _size(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def limit_file_size(pid: int, size: int) -> None:
    """From now on a process cannot write behind so many bytes of any file: it fails as on a full
    disk."""
    import resource

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
