"""The files of a backup: a directory, or a tar file where the name ends with ``.tar``.

A backup is written beside its place, as ``NAME.partial``, and gets its name once it is complete
and on the disk. Only its owner can read it. Parts are small enough to be held in memory.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Protocol

import msgspec

from event_gateway.backup.manifest import FILE, FORMAT, BackupFile, Manifest

PART = 4 * 1024 * 1024  # bytes of a part, about
MAX_MANIFEST = 256 * 1024 * 1024  # bytes
_PART_NAME = re.compile(r"(redis|streams/[^./\\][^/\\]*)/[0-9]{6,9}")


class UnusableBackup(Exception):
    """A backup cannot be written, or what should be one cannot be restored; the text says why."""


class Files(Protocol):
    """Where the files of a backup are written to."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file. Raises OSError."""

    def complete(self, target: Path) -> None:
        """Brings everything to the disk and gives it its name. Raises OSError."""

    def discard(self) -> None:
        """Deletes what was written."""


class _Directory:
    def __init__(self, partial: Path) -> None:
        self._partial = partial
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)

    def write(self, name: str, content: bytes) -> None:
        path = self._partial / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def complete(self, target: Path) -> None:
        for directory, _, _ in os.walk(self._partial):
            _sync_directory(Path(directory))
        self._partial.rename(target)
        _sync_directory(target.parent)

    def discard(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)


class _TarFile:
    def __init__(self, partial: Path) -> None:
        self._partial = partial
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115

    def write(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o600
        self._tar.addfile(entry, BytesIO(content))
        self._tar.getmembers().clear()  # it would remember each

    def complete(self, target: Path) -> None:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.rename(target)
        _sync_directory(target.parent)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ArchiveWriter:
    """Writes a backup to ``target``, which must not exist. Raises UnusableBackup."""

    def __init__(self, target: Path) -> None:
        if target.exists():
            raise UnusableBackup(f"{target} exists already: name a new place for the backup")
        self._target = target.absolute()
        partial = self._target.with_name(f"{target.name}.partial")
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._files: Files = (
                _TarFile(partial) if target.suffix == ".tar" else _Directory(partial)
            )
        except OSError as error:
            raise UnusableBackup(f"{partial} cannot be written: {error.strerror}") from None

    def add(self, name: str, content: bytes) -> BackupFile:
        """Writes a part."""
        try:
            self._files.write(name, content)
        except OSError as error:
            raise UnusableBackup(f"{self._target} cannot be written: {error.strerror}") from None
        return BackupFile(name, len(content), hashlib.sha256(content).hexdigest())

    def complete(self, manifest: Manifest) -> None:
        """Writes the manifest and gives the backup its name."""
        self.add(FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        try:
            self._files.complete(self._target)
        except OSError as error:
            raise UnusableBackup(f"{self._target} cannot be written: {error.strerror}") from None

    def discard(self) -> None:
        """Deletes what was written of an incomplete backup."""
        self._files.discard()


class PartWriter:
    """Makes parts of about PART bytes of a stream of bytes. ``name`` is what their names begin
    with."""

    def __init__(self, writer: ArchiveWriter, name: str) -> None:
        self._writer = writer
        self._name = name
        self._pending: list[bytes] = []
        self._size = 0
        self.parts: list[BackupFile] = []

    def add(self, content: bytes) -> None:
        """Adds bytes. Raises UnusableBackup."""
        self._pending.append(content)
        self._size += len(content)
        if self._size >= PART:
            self.flush()

    def flush(self) -> None:
        """Writes what is left as a part. Raises UnusableBackup."""
        if self._pending:
            name = f"{self._name}/{len(self.parts) + 1:06d}"
            self.parts.append(self._writer.add(name, b"".join(self._pending)))
            self._pending, self._size = [], 0


class Archive:
    """A complete backup, whose manifest has been read. Raises UnusableBackup."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar: tarfile.TarFile | None = None
        self._members: dict[str, tarfile.TarInfo] = {}
        if not path.exists():
            partial = path.with_name(f"{path.name}.partial")
            left = f"; {partial} is what an interrupted backup has left" * partial.exists()
            raise UnusableBackup(f"there is no backup {path}{left}")
        if path.is_file():
            try:
                self._tar = tarfile.open(path, mode="r:")  # noqa: SIM115
                self._members = {member.name: member for member in self._tar.getmembers()}
            except (tarfile.TarError, OSError) as error:
                raise UnusableBackup(f"{path} is not a backup: {error}") from None
        try:
            self.manifest = _decode(self._content(FILE, MAX_MANIFEST), path)
        except (KeyError, FileNotFoundError):
            raise UnusableBackup(f"{path} is not a complete backup: it has no {FILE}") from None
        except OSError as error:
            raise UnusableBackup(f"{path} cannot be read: {error.strerror}") from None

    def read(self, part: BackupFile) -> bytes:
        """The content of a part, which has the digest in the manifest."""
        try:
            content = self._content(part.name, part.bytes + 1)
        except (KeyError, OSError, tarfile.TarError) as error:
            raise UnusableBackup(f"{self._path}: {part.name} cannot be read: {error}") from None
        if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
            raise UnusableBackup(
                f"{self._path}: {part.name} is damaged: it has not the digest in {FILE}"
            )
        return content

    def close(self) -> None:
        """Closes its files."""
        if self._tar is not None:
            self._tar.close()

    def _content(self, name: str, most: int) -> bytes:
        if self._tar is None:
            with (self._path / name).open("rb") as file:
                return file.read(most)
        file_in_tar = self._tar.extractfile(self._members[name])
        return b"" if file_in_tar is None else file_in_tar.read(most)


class _Version(msgspec.Struct):
    v: int = 0


def _decode(content: bytes, path: Path) -> Manifest:
    try:
        version = msgspec.json.decode(content, type=_Version).v
        if version > FORMAT:
            raise UnusableBackup(
                f"{path} has format {version}, this version of the gateway knows {FORMAT}: restore "
                "it with the version that has made it, or a newer one"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise UnusableBackup(f"{path}: {FILE} is damaged: {error}") from None
    for part in manifest.parts:
        if not _PART_NAME.fullmatch(part.name):  # nothing outside of the backup is read
            raise UnusableBackup(f"{path}: {FILE} is damaged: it names a part {part.name[:64]!r}")
    return manifest
