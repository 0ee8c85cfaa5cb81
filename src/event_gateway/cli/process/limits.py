"""Limits of the whole process: how many files it may open, and when it collects garbage."""

import contextlib
import gc
import sys

FILES = 65536  # one process uses no more
OTHERS = 256  # files other than connections to receivers and sockets of the API
MAX_ATTEMPTS = 4096


def raise_file_limit() -> int:
    """Raises the limit of open files as far as the system allows, and returns it."""
    if sys.platform == "win32":
        return FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return FILES
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    # Without a hard limit the kernel may still have a lower one.
    for limit in (most, 32768, 16384, 10240, 4096):
        if soft < limit <= most:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                return limit
    return soft


def attempts_within(files: int) -> int:
    """How many attempts may be in flight where ``files`` may be open: at most half of them. Idle
    connections to receivers are at most a quarter of the attempts."""
    return max(16, min(MAX_ATTEMPTS, (files - OTHERS) // 2))


def connections_within(files: int) -> int:
    """How many connections clients of the API may have where ``files`` may be open: what is left
    beside attempts and idle connections to receivers."""
    attempts = attempts_within(files)
    return max(64, files - OTHERS - attempts - attempts // 4)


def collect_rarely() -> None:
    """Makes garbage collection less frequent. A start makes many objects that stay, and little
    garbage: with many webhooks, looking for it would take a sixth of the time."""
    gc.set_threshold(10_000, 20, 50)


def settle_memory() -> None:
    """Excludes the objects that exist now from garbage collection, and makes it less frequent.

    A full collection visits all live objects: with a thousand webhooks each one stops the process
    for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    collect_rarely()
