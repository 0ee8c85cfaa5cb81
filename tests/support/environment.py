"""What a test run changes in its environment, and so in that of every process that it starts."""

import os
import sys
from pathlib import Path

# Reading all authorities that a system trusts takes 50 ms of CPU for each gateway and each client.
# No test leaves the loopback, so they trust one authority, whose key nobody has.
AUTHORITY = Path(__file__).parents[1] / "data" / "authority_of_nothing.pem"
_FORMER = "TEST_RUN_FORMER_"


def prepare_environment() -> None:
    """Changes this process' environment, once."""
    # Several hundred processes would compile the same modules.
    sys.dont_write_bytecode = False
    _set("PYTHONDONTWRITEBYTECODE", "")
    _set("SSL_CERT_FILE", str(AUTHORITY))
    # No test uses the contexts of the user who runs it.
    _set("XDG_CONFIG_HOME", "/nonexistent")


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
