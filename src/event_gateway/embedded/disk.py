"""The room on the disk of a data directory, and how much of it NATS may use."""

import json
import shutil
import time
from pathlib import Path

from event_gateway.core.text.units import format_size

MIB = 1024 * 1024
LEAST_RESERVE = 4 * MIB
MOST_RESERVE = 256 * MIB
RESERVED_SHARE = 50  # the reserve is one part in RESERVED_SHARE of the disk
LEAST_STORE = MIB  # the server takes 0 for "as much as it likes"
LOOK = 0.25  # seconds
WRITABLE = MIB  # bytes below which a server may have been unable to write


class Disk:
    """The file system of a directory.

    ``reserve``: bytes that events leave free, so that deliveries can still be recorded, dead
    letters written and the registry changed when no more events are accepted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._near = directory
        while not self._near.exists():
            self._near = self._near.parent
        self.total = shutil.disk_usage(self._near).total
        self._looked = -LOOK
        self._shortage: str | None = None
        self.reserve = min(max(self.total // RESERVED_SHARE, LEAST_RESERVE), MOST_RESERVE)

    @property
    def free(self) -> int:
        """Bytes that this user may still write."""
        return shutil.disk_usage(self._near).free

    def shortage(self) -> str | None:
        """Why no more events are accepted; None while the disk has more than its reserve. The
        answer may be LOOK seconds old, as this is called for each event."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            free = self.free
            self._shortage = (
                None
                if free > self.reserve
                else (
                    f"the disk of {self._directory} is full: {format_size(free)} are free, and "
                    f"{format_size(self.reserve)} are reserved for deliveries"
                )
            )
        return self._shortage

    def nearly_full(self) -> str | None:
        """Why events may soon not be accepted; None while there is twice the reserve."""
        free = self.free
        if free > 2 * self.reserve:
            return None
        return (
            f"the disk of {self._directory} is nearly full: {format_size(free)} are free; at "
            f"{format_size(self.reserve)} no more events are accepted"
        )


def store_limit(disk: Disk, store: Path) -> int:
    """Bytes that the streams of the embedded NATS in ``store`` may have: what they have now, and
    what is free except the reserve.

    Not less than what existing streams reserve: NATS would not open them.
    """
    used = sum(_size(path) for path in store.rglob("*"))
    return max(used + disk.free - disk.reserve, _reserved(store), LEAST_STORE)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _reserved(store: Path) -> int:
    reserved = 0
    for path in store.glob("jetstream/*/streams/*/meta.inf"):
        try:
            reserved += max(int(json.loads(path.read_bytes()).get("max_bytes", 0)), 0)
        except (OSError, ValueError):
            continue  # the server says what is wrong with it
    return reserved
