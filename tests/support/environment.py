"""What a test run changes in its environment, and so in that of every process that it starts."""

import importlib.util
import os
import sys
from pathlib import Path

# Reading all authorities that a system trusts takes 50 ms of CPU for each gateway and each client.
# No test leaves the loopback, so they trust one authority, whose key nobody has.
AUTHORITY = Path(__file__).parents[1] / "data" / "authority_of_nothing.pem"
_FORMER = "TEST_RUN_FORMER_"
# A gateway whose files are in memory takes a fifth less processor time to start, and waits for no
# disk. A run needs a gigabyte at most, as the files of a test that passes are deleted at its end.
MEMORY = Path("/dev/shm")
ROOM = 4 * 1024**3  # bytes


def prepare_environment() -> None:
    """Changes this process' environment, once."""
    _know_missing("sniffio")
    # Several hundred processes would compile the same modules.
    sys.dont_write_bytecode = False
    _set("PYTHONDONTWRITEBYTECODE", "")
    _set("SSL_CERT_FILE", str(AUTHORITY))
    # No test uses the contexts of the user who runs it.
    _set("XDG_CONFIG_HOME", "/nonexistent")
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and _has_room(MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)  # the parent of each tmp_path


def _know_missing(library: str) -> None:
    """Lets each import of a library that is not installed fail at once.

    httpx looks for this one three times a request, each time in all folders of the path: a tenth of
    the processor time of a test that polls.
    """
    if library not in sys.modules and importlib.util.find_spec(library) is None:
        sys.modules[library] = None  # type: ignore[assignment]  # which Python takes for missing


def _has_room(memory: Path) -> bool:
    """Whether this file system in memory is large, tests may run programs in it, and the memory is
    free."""
    try:
        system = os.statvfs(memory)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    (free,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min(system.f_bavail * system.f_frsize, free) >= ROOM and not system.f_flag & os.ST_NOEXEC


def _set(name: str, value: str) -> None:
    former = os.environ.get(name, "")
    if former != value:  # a worker of xdist has the environment of the process that started it
        os.environ[_FORMER + name] = former
        os.environ[name] = value


def outer_environment() -> dict[str, str]:
    """The environment that the test run was started with."""
    own = ("COV", "PYTEST_", _FORMER)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    former = {name: os.environ[_FORMER + name] for name in kept if _FORMER + name in os.environ}
    return {name: value for name, value in (kept | former).items() if value}
