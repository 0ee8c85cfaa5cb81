"""How much memory the process and its container use, and how much they may use."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from event_gateway.core.text.units import format_size

CONTAINER_SHARE = 0.9  # of the container's limit
MACHINE_SHARE = 0.5  # of the machine's memory, where the container has no limit
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


class _Version(NamedTuple):
    """Where a version of control groups has its files. ``counted`` are the parts of memory.stat
    that the kernel cannot drop for others."""

    prefix: str  # of the group's line in OWN_CGROUP, behind the number
    root: str
    limit: str
    counted: tuple[str, ...]


_VERSIONS = (
    _Version(":", "", "memory.max", ("anon", "shmem", "slab_unreclaimable")),
    _Version("memory:", "memory", "memory.limit_in_bytes", ("total_rss", "total_shmem")),
)


class Memory(msgspec.Struct, frozen=True):
    """Bytes. ``used`` is what all processes of the container use of ``limit``, without what the
    kernel can drop; both are None where the container has no limit, or there is none."""

    resident: int
    machine: int
    used: int | None = None
    limit: int | None = None

    @property
    def shortage(self) -> str | None:
        """Why the health is degraded."""
        if self.used is not None and self.limit is not None:
            if self.used > CONTAINER_SHARE * self.limit:
                return (
                    f"the container uses {format_size(self.used)} of the {format_size(self.limit)} "
                    "of memory that it may use"
                )
        elif self.resident > MACHINE_SHARE * self.machine:
            return (
                f"the process uses {format_size(self.resident)} of the machine's "
                f"{format_size(self.machine)} of memory"
            )
        return None


def measured() -> Memory | None:
    """The memory at this moment; None on a system that does not tell."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        machine = os.sysconf("SC_PHYS_PAGES") * page
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
    except (OSError, ValueError, IndexError):
        return None
    try:
        groups = OWN_CGROUP.read_text()
    except OSError:
        return Memory(resident, machine)
    for version in _VERSIONS:
        for directory in _directories(groups, version, CGROUPS):
            try:
                limit = (directory / version.limit).read_text().strip()
                if limit == "max" or int(limit) >= machine:
                    continue
                rows = (row.split() for row in (directory / "memory.stat").read_text().splitlines())
                used = sum(int(value) for name, value in rows if name in version.counted)
                return Memory(resident, machine, used, int(limit))
            except (OSError, ValueError):
                continue
    return Memory(resident, machine)


@lru_cache(maxsize=2 * len(_VERSIONS))
def _directories(groups: str, version: _Version, cgroups: Path) -> tuple[Path, ...]:
    """The control group of this process and those around it, the nearest first. ``groups``: the
    content of OWN_CGROUP, which seldom changes."""
    return tuple(_found(groups.splitlines(), version, cgroups / version.root))


def _found(lines: list[str], version: _Version, root: Path) -> Iterator[Path]:
    for line in lines:
        _, _, group = line.partition(":")
        if group.startswith(version.prefix):
            path = root / group.removeprefix(version.prefix).lstrip("/")
            yield path
            while path != root and root in path.parents:
                path = path.parent
                yield path
