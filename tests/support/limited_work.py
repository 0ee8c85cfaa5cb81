"""A bound on processor time that only work without a limit reaches."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds of the thread's processor time. Limited work takes some tenths of one, also while coverage
# is measured on a slow machine; work without a limit takes minutes or does not end.
_UNLIMITED = 20.0


@contextmanager
def limited_work(what: object = "the work") -> Iterator[None]:
    """The block does no more than limited work in this thread. It is no measurement.

    Raises ``AssertionError`` when the block ends after `_UNLIMITED` seconds of processor time.
    """
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    assert took < _UNLIMITED, f"{what} took {took:.0f} s of processor time"
