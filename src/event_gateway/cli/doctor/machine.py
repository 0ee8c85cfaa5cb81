"""Looks at the data directory, its disk, and how many files the gateway may open."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from event_gateway.cli.doctor.finding import Area, Finding, Installation
from event_gateway.cli.process.limits import MAX_ATTEMPTS, attempts_within, raise_file_limit
from event_gateway.core.text.units import format_size
from event_gateway.embedded.disk import Disk

NEARLY = 0.8  # of the files that a process may open
_disk = Area("disk")
_files = Area("files")
_MORE_FILES = "Raise the limit of open files (ulimit -n, LimitNOFILE in systemd) to 65536."
_LIMIT = re.compile(r"^Max open files\s+(\d+)", re.MULTILINE)


def examine_machine(installation: Installation) -> Iterator[Finding]:
    """Disk and files, of a gateway that runs on this machine."""
    yield from _examine_disk(installation)
    yield from _examine_files(installation.endpoints.get("pid"))


def _examine_disk(installation: Installation) -> Iterator[Finding]:
    data_dir = installation.data_dir
    if not data_dir.is_dir():
        yield _disk.skipped(
            f"there is no data directory {data_dir}", "Give --data-dir on the gateway's machine."
        )
        return
    try:
        disk = Disk(data_dir)
        full, nearly, free = disk.shortage(), disk.nearly_full(), disk.free
    except OSError as error:
        why = error.strerror or str(error)
        yield _disk.error(f"{data_dir} cannot be read: {why}", "Give its user the right to it.")
        return
    if full:
        yield _disk.error(full, "Free some room; the gateway goes on by itself.")
    elif nearly:
        yield _disk.warning(nearly, "Free some room before events are refused.")
    else:
        yield _disk.ok(f"{data_dir} has {format_size(free)} free")
    for name in ("admin.key", "sealing.key", "endpoints.json"):
        path = data_dir / name
        if path.exists() and os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield _disk.error(
                f"{path} can be read by other users of this machine", f"Run chmod 600 {path}."
            )


def _examine_files(pid: object) -> Iterator[Finding]:
    """The files of the gateway's process, or of one that this user would start."""
    limit = None
    try:
        match = _LIMIT.search(Path(f"/proc/{pid}/limits").read_text())
        limit = int(match[1]) if match else None
        used = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        used = 0
    whose = f"the gateway's process {pid}"
    if limit is None:
        limit, whose = raise_file_limit(), "a process of this user"
    if used > NEARLY * limit:
        yield _files.error(f"{whose} has {used} files open and may open {limit}", _MORE_FILES)
    elif (attempts := attempts_within(limit)) < MAX_ATTEMPTS:
        yield _files.warning(
            f"{whose} may open {limit} files, and so makes at most {attempts} attempts at a time",
            _MORE_FILES,
        )
    else:
        shown = f", {used} are open" if used else ""
        yield _files.ok(f"{whose} may open {limit} files{shown}")
