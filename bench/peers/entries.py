"""The file that names the programs that run already."""

import argparse
from collections.abc import Collection
from pathlib import Path

import msgspec


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A program in the file. ``pids``: its processes, ``stores``: those of its databases and
    queues."""

    driver: str
    url: str
    key: str
    version: str
    pids: list[int]
    stores: list[int]

    @property
    def name(self) -> str:
        """Under which its figures are shown."""
        return f"{self.driver} {self.version}"


def add_peers(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the file."""
    parser.add_argument("--peers", type=Path, help="the other programs; none without it")


def read_peers(
    parser: argparse.ArgumentParser, path: Path | None, drivers: Collection[str]
) -> list[Entry]:
    """The programs in the file. Ends the command if there is no driver for one."""
    entries: list[Entry] = []
    if path is not None:
        entries = msgspec.json.decode(path.read_bytes(), type=list[Entry])
    for entry in entries:
        if entry.driver not in drivers:
            parser.error(f"there is no driver {entry.driver!r}: {', '.join(drivers)}")
    return entries
