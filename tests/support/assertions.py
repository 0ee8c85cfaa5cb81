"""Shares the rewritten assertions of test modules between the workers of xdist.

pytest rewrites the assertions of a module when it is imported, which takes longer than the import,
and keeps the result in a file. Workers that import the same module at the same time would all
rewrite it.
"""

import contextlib
import sys
from collections.abc import Iterator

import pytest

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def first_alone(collector: pytest.Collector) -> Iterator[None]:
    """Locks the file of a module while it is imported. The worker that gets the lock first writes
    the rewritten module, which the others read. They follow it from module to module."""
    if sys.platform == "win32" or not isinstance(collector, pytest.Module):
        yield
        return
    with collector.path.open() as file:  # closing it ends the lock
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
