"""What the process as a whole is given: files it may open, and when its garbage is collected."""

import contextlib
import gc
import sys

FILES = 65536  # more are of no use to one process
OTHERS = 256  # files that are no connection to a receiver, sockets of the API aside
MAX_ATTEMPTS = 4096


def raise_file_limit() -> int:
    """Raises the number of files that may be open as far as the system lets us; gives it."""
    if sys.platform == "win32":
        return FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return FILES
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    # Where the hard limit is none, the kernel may have one of its own.
    for wanted in (most, 32768, 16384, 10240, 4096):
        if soft < wanted <= most:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return wanted
    return soft


def attempts_within(files: int) -> int:
    """How many attempts may be in flight with so many files: half are for them, a quarter at most
    for connections that are kept, the rest for the API."""
    return max(16, min(MAX_ATTEMPTS, (files - OTHERS) // 2))


def settle_memory() -> None:
    """Leaves what the start has made out of garbage collection, and has the rest done less often.

    A full collection goes through all that lives: with a thousand webhooks it stops the process for
    a tenth of a second, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
