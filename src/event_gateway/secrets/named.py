"""Secrets by name: from the environment, else from a file, else from the sealed store.

Read when needed, never logged.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from event_gateway.core.webhook.security import SEALING_KEY

KEEP = 5.0  # seconds for which a value is used before it is looked up again
MAX_BYTES = 64 * 1024
MAX_KEPT = 4096  # names


class Secrets:
    """``siem_token`` is the variable PREFIX + ``SIEM_TOKEN``, else the file ``siem_token``, else
    what ``sealed`` gives for it: the value in force and those that it has just replaced."""

    def __init__(self, environ: Mapping[str, str], env_prefix: str, directory: Path) -> None:
        self._environ = environ
        self._prefix = env_prefix
        self.directory = directory
        self.sealed: Callable[[str], tuple[str, ...]] = lambda name: ()
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}

    def variable(self, name: str) -> str:
        """The environment variable of a secret."""
        return self._prefix + name.upper().replace("-", "_").replace(".", "_")

    def find(self, name: str) -> tuple[str, ...]:
        """The values of a secret, that in force first; none where there is none."""
        now = time.monotonic()
        kept = self._kept.get(name)
        if kept is None or now - kept[0] > KEEP:
            outside = self._outside(name)[1]
            values = self.sealed(name) if outside is None else (outside,)
            kept = self._kept[name] = (now, values)
            if len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
        return kept[1]

    def origin(self, name: str) -> str | None:
        """Where the value in force comes from: environment, file, sealed; None: there is none."""
        found, value = self._outside(name)
        if value is not None:
            return found
        return "sealed" if self.sealed(name) else None

    def forget(self, name: str) -> None:
        """Its value has changed."""
        self._kept.pop(name, None)

    def sealing_key(self, file: Path | None) -> str | None:
        """The keys of the sealed store: a secret of that name, else what the file holds."""
        value = self._outside(SEALING_KEY)[1]
        return value if value is not None or file is None else _read(file)

    def _outside(self, name: str) -> tuple[str, str | None]:
        """Where a value is found outside the sealed store, and it, without white space around."""
        value = self._environ.get(self.variable(name), "").strip()
        if value:
            return "environment", value
        if "/" in name or name in ("", ".", ".."):
            return "", None
        return "file", _read(self.directory / name)


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
