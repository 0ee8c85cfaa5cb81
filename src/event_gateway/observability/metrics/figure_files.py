"""How the processes of one ``serve`` know each other's figures: each has a file in a folder.

A process writes its file once a second if anything has changed, before each answer that shows its
figures, and at its end. So what was shown once is in a file, and sums never fall, also when a
process is killed. The first process adds the files of those that have ended to a file of its own.

Readers take no locks: files are replaced as a whole. They read the files of the processes first,
and then that of the ended ones, which names those that it includes.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from event_gateway.observability.metrics.figures import WebhookMetrics
from event_gateway.observability.metrics.snapshot import (
    Snapshot,
    combined,
    decode,
    encode,
    of_an_ended_process,
)

log = structlog.get_logger(__name__)

_SUFFIX = ".figures"
_ENDED = f"ended{_SUFFIX}"
KEPT_NAMES = 100  # ended processes that the file of the ended ones names
MANY_WEBHOOKS = 1000  # from which on the ended ones lose those that no live process knows


class FigureFiles:
    """The files in ``folder``; ``name`` is that of this process, which no other has had."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._written = b""
        self._last_good: dict[str, Snapshot] = {}
        self._failing = False

    def write(self, data: bytes) -> None:
        """Replaces the file of this process, if it has changed. A disk that takes nothing is
        logged once."""
        if data == self._written:
            return
        try:
            _replace(self.folder / f"{self.name}{_SUFFIX}", data)
        except OSError as error:
            if not self._failing:
                log.warning("the metrics of this process cannot be shared", error=str(error))
            self._failing = True
        else:
            self._failing = False
            self._written = data

    def others(self) -> list[Snapshot]:
        """The figures of the other processes: of those that live, and together of those that have
        ended. A file that cannot be read counts as it was when it last could."""
        found: dict[str, Snapshot] = {}
        for name in self._names():
            snapshot = self._read(name)
            if snapshot is not None and name != self.name:
                found[name] = snapshot
        self._last_good = {name: self._last_good[name] for name in found}
        ended = self._read_ended()
        if ended is None:
            return list(found.values())
        live = [snapshot for name, snapshot in found.items() if name not in ended.includes]
        return [*live, ended]

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return list(self._last_good)
        return [name.removesuffix(_SUFFIX) for name in names
                if name.endswith(_SUFFIX) and name != _ENDED]  # fmt: skip

    def _read(self, name: str) -> Snapshot | None:
        snapshot = _read(self.folder / f"{name}{_SUFFIX}")
        if snapshot is None:
            return self._last_good.get(name)
        self._last_good[name] = snapshot
        return snapshot

    def _read_ended(self) -> Snapshot | None:
        return _read(self.folder / _ENDED)


class SharedFolder:
    """The folder itself, which the first process makes, tidies and removes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._adding = threading.Lock()  # processes that end together are added one by one

    def create(self) -> None:
        """Makes the folder, empty, for this user alone. Raises OSError."""
        self.remove()
        self.path.mkdir(mode=0o700)

    def remove(self) -> None:
        """Removes the folder with all files."""
        shutil.rmtree(self.path, ignore_errors=True)

    def absorb(self, name: str) -> None:
        """Adds the file of a process that has ended to that of all that have, and removes it."""
        with self._adding:
            self._absorb(name)

    def _absorb(self, name: str) -> None:
        file = self.path / f"{name}{_SUFFIX}"
        snapshot = _read(file)
        ended = _read(self.path / _ENDED) or Snapshot()
        if snapshot is not None and name not in ended.includes:
            total = combined([ended, of_an_ended_process(snapshot)])
            total.includes = [*ended.includes, name][-KEPT_NAMES:]
            if len(total.webhooks) > MANY_WEBHOOKS:
                total.webhooks = self._latest(total.webhooks, name, snapshot)
            try:
                _replace(self.path / _ENDED, encode(total))
            except OSError as error:
                # The file stays, and counts as if its process were still there.
                log.warning("the metrics of an ended process cannot be kept", error=str(error))
                return
        with contextlib.suppress(OSError):
            file.unlink()

    def _latest(
        self, webhooks: Mapping[str, WebhookMetrics], ended_name: str, ended: Snapshot
    ) -> dict[str, WebhookMetrics]:
        """MANY_WEBHOOKS of them: first those that a live process knows, then those that the one
        that has just ended knew, and of each those that were attempted last."""
        live: set[str] = set()
        for file in self.path.glob(f"*{_SUFFIX}"):
            if file.stem not in (Path(_ENDED).stem, ended_name) and (snapshot := _read(file)):
                live |= snapshot.webhooks.keys()

        def rank(label: str) -> tuple[bool, bool, float]:
            last = max(webhooks[label].last_success, webhooks[label].last_failure)
            return label in live, label in ended.webhooks, last

        kept = sorted(webhooks, key=rank, reverse=True)[:MANY_WEBHOOKS]
        return {label: webhooks[label] for label in kept}


def _read(path: Path) -> Snapshot | None:
    try:
        return decode(path.read_bytes())
    except OSError:
        return None


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    new.replace(path)
