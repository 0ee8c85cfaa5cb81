"""The admin key: it is in a file of the data directory, which people and tools read."""

import os
import time
from pathlib import Path

import structlog

from event_gateway.core.access.api_key import new_id, new_value
from event_gateway.private_file import write_private

log = structlog.get_logger(__name__)

NAME = "admin.key"
MIN_LENGTH = 16
# ns since a change within which another one may have the same time: that of file systems is coarse.
SAME_TIME = 3_000_000_000


class NoAdminKey(Exception):
    """The file has no usable key; the text says what to do."""


class AdminKeyFile:
    """The file, and the key that was last read from it: ``value``. No dataclass: its ``repr`` must
    not show the key."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir.absolute() / NAME
        self.value = ""
        self._unusable = ""  # why the file could not be used when it was read last
        self._logged = False  # whether the log has that
        self._seen: tuple[int, ...] | None = None  # of the file as it was read last

    def open(self) -> None:
        """Reads the key; makes one if there is no file. Raises NoAdminKey, OSError."""
        if not self.path.exists():
            self.write(new_value(new_id()))
            return
        self.value = self._read()

    def read_again(self) -> bool:
        """Reads the file if it may have changed; returns whether it has another key than before. A
        file that has none changes nothing: the gateway keeps the former key."""
        before, self._seen = self._seen, self._identity()
        if self._seen is not None and self._seen == before:
            return False
        try:
            value, unusable = self._read(), ""
        except NoAdminKey as error:
            value, unusable = self.value, str(error)
        except (OSError, ValueError) as error:
            value, unusable = self.value, f"{self.path}: {error}"
        # Logged once, and not for the moment in which an editor writes the file.
        if unusable and unusable == self._unusable and not self._logged:
            log.error("the admin key cannot be read again, the former one stays valid",
                      reason=unusable)  # fmt: skip
        self._logged = bool(unusable) and unusable == self._unusable
        self._unusable = unusable
        changed = value != self.value
        self.value = value
        return changed

    def write(self, value: str) -> None:
        """Replaces the key. Raises OSError."""
        write_private(self.path, value)
        self.value = value

    def _identity(self) -> tuple[int, ...] | None:
        """A value that changes with each write of the file, or None: the file is missing, is not
        usable, or was written just now, so that another change may have the same time."""
        try:
            now = os.stat(self.path)
        except OSError:
            return None
        if self._unusable or time.time_ns() - now.st_ctime_ns < SAME_TIME:
            return None
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns

    def _read(self) -> str:
        value = self.path.read_text().strip()
        if len(value) < MIN_LENGTH:
            raise NoAdminKey(
                f"{self.path} holds no key of at least {MIN_LENGTH} characters: "
                "delete it to have one made, or write your own into it"
            )
        return value
