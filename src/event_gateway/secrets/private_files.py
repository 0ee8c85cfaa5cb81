"""Files that no secret name and no certificate path of a webhook may lead to."""

import os
from collections.abc import Iterable
from pathlib import Path

# Folders of the data directory with the data of the embedded servers.
SERVERS = ("nats", "valkey", "logs")


class PrivateFiles:
    """The gateway's own files: the data directory with the keys, and single files such as the
    configuration. Files are compared by what they are, not by their names: symbolic and hard links
    and other spellings of a name lead to the same file.
    """

    def __init__(self, data_dir: Path | None = None, files: Iterable[Path] = ()) -> None:
        self._data_dir = data_dir
        self._files = tuple(files)
        self._configured: tuple[Path, ...] = ()

    def configure(self, files: Iterable[Path]) -> None:
        """Files that the present configuration names, in place of those that the former one did."""
        self._configured = tuple(files)

    def includes(self, path: Path, secrets_dir: Path, *more: Path) -> bool:
        """Whether a path leads to a private file, or to one of ``more``. A folder for secrets
        within the data directory, of its own, is not private."""
        try:
            found = path.stat()
        except OSError:
            return False  # there is nothing to read
        resolved = path.resolve()
        if any(_is(found, file) for file in (*self._files, *self._configured, *more)):
            return True
        if self._data_dir is None:
            return False
        if _is_below(resolved, self._data_dir) and not self._of_secrets(resolved, secrets_dir):
            return True
        # Another name of the same file, outside the directory.
        return found.st_nlink > 1 and any(_is(found, file) for file in _entries(self._data_dir))

    def _of_secrets(self, resolved: Path, secrets_dir: Path) -> bool:
        assert self._data_dir is not None
        folder = secrets_dir.resolve()
        data_dir = self._data_dir
        return (
            _is_below(folder, data_dir)
            and _is_below(resolved, folder)
            and not any(
                _same(folder, data_dir / name) or _is_below(folder, data_dir / name)
                for name in SERVERS
            )
        )


NOTHING_PRIVATE = PrivateFiles()


def _is(found: os.stat_result, file: Path) -> bool:
    try:
        return os.path.samestat(found, file.stat())
    except OSError:
        return False


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _is_below(path: Path, directory: Path) -> bool:
    """Whether a resolved path is within a directory, in whatever spelling its name is written."""
    return any(_same(parent, directory) for parent in path.parents)


def _entries(directory: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(directory)]
    except OSError:
        return []
