"""Notices that a file has changed, by looking at it.

It asks the file system again and again, as notifications tell nothing of network file systems, and
of the links by which Kubernetes replaces a ConfigMap.
"""

import asyncio
from pathlib import Path

INTERVAL = 0.5  # seconds between two looks; a change must stay as it is for one of them


async def watch(path: Path, changed: asyncio.Event) -> None:
    """Sets ``changed`` whenever the file is another one than before, once its writer has finished.
    It never returns."""
    known = former = _version(path)
    while True:
        await asyncio.sleep(INTERVAL)
        present = await asyncio.to_thread(_version, path)
        if present != known and present == former:
            known = present
            changed.set()
        former = present


def _version(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from another; None while there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
