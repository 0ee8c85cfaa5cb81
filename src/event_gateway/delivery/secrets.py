"""Secrets by name: from the environment, else from a file. Read when needed, never logged."""

import time
from collections.abc import Mapping
from pathlib import Path

KEEP = 5.0  # seconds for which a value is used before it is looked up again
MAX_BYTES = 64 * 1024


class Secrets:
    """``siem_token`` is the variable PREFIX + ``SIEM_TOKEN``, else the file ``siem_token``."""

    def __init__(self, environ: Mapping[str, str], env_prefix: str, directory: Path) -> None:
        self._environ = environ
        self._prefix = env_prefix
        self._directory = directory
        self._kept: dict[str, tuple[float, str | None]] = {}

    def get(self, name: str) -> str | None:
        """The secret, without surrounding white space; None where there is none."""
        now = time.monotonic()
        kept = self._kept.get(name)
        if kept is None or now - kept[0] > KEEP:
            kept = self._kept[name] = (now, self._read(name))
        return kept[1]

    def _read(self, name: str) -> str | None:
        value = self._environ.get(self._prefix + name.upper().replace("-", "_"))
        if value is None and "/" not in name and name not in ("", ".", ".."):
            try:
                with (self._directory / name).open("rb") as file:
                    value = file.read(MAX_BYTES).decode()
            except (OSError, UnicodeDecodeError):
                return None
        return value.strip() or None if value is not None else None
