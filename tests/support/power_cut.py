"""A disk whose power is cut: what no program had synchronised, and the system had not written yet,
is gone.

It is an ext4 file system with a journal in a file, mounted through a loop device. The file has what
the file system has written to its "disk"; what is only in the system's cache is not in it. So a
copy of the file is what is left after a power cut.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SIZE = 96 * 1024 * 1024


class Disk:
    """A directory, ``path``. ``real``: it is a disk of its own, so that :meth:`cut` loses what is
    in the system's cache."""

    def __init__(self, path: Path, image: Path, *, real: bool) -> None:
        self.path = path
        self.real = real
        self._image = image

    def copy(self) -> None:
        """Notes what is on the disk at this moment. Programs that write to it must be stopped."""
        if self.real:
            shutil.copyfile(self._image, self._copy)

    def cut(self) -> None:
        """Goes back to what :meth:`copy` has noted. Programs that used the disk must have ended."""
        if self.real:
            subprocess.run(["umount", str(self.path)], check=True)
            self._copy.replace(self._image)
            _mount(self._image, self.path)

    @property
    def _copy(self) -> Path:
        return self._image.with_suffix(".copy")


def _mount(image: Path, path: Path) -> bool:
    # The journal is committed when somebody asks for it, and not every five seconds.
    command = ["mount", "-o", "loop,commit=300", str(image), str(path)]
    return not subprocess.run(command, capture_output=True, check=False).returncode


@contextlib.contextmanager
def disk(directory: Path) -> Iterator[Disk]:
    """Mounts one at ``directory/data``; where that is not allowed, it is an ordinary directory."""
    path, image = directory / "data", directory / "disk.image"
    path.mkdir(mode=0o700)
    real = False
    if sys.platform == "linux" and shutil.which("mkfs.ext4") is not None:
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        real = _mount(image, path)
    try:
        yield Disk(path, image, real=real)
    finally:
        if real:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
