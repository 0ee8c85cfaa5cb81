"""Secrets by name: from the environment, else from a file, else from the sealed secrets."""

import time
from collections.abc import Iterable
from pathlib import Path

from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.sealed import SealedSecrets

CACHED = 5.0  # seconds for which a value is used before it is looked up again
MAX_CACHED = 4096  # names


class Secrets:
    """Looks up secrets when they are needed. Values are never logged."""

    def __init__(self, external: ExternalSecrets, sealed: SealedSecrets | None = None) -> None:
        self._external = external
        self._sealed = sealed
        self._of_callers: frozenset[str] = frozenset()
        self._cached: dict[str, tuple[float, int, tuple[str, ...]]] = {}

    @property
    def directory(self) -> Path:
        """The directory of the secrets' files."""
        return self._external.directory

    def refuses(self, name: str) -> bool:
        """Whether a name leads to the sealing key, or to a private file of the gateway."""
        return self._external.refuses(name)

    def keep_for_callers(self, names: Iterable[str]) -> None:
        """From now on :meth:`proves_callers` of these names, and of no others."""
        self._of_callers = frozenset(self.variable(name) for name in names)

    def proves_callers(self, name: str) -> bool:
        """Whether callers of the gateway prove themselves with a secret, however its name is
        written: a receiver that got it, or what it signs, could act as the caller."""
        return self.variable(name) in self._of_callers

    def is_private(self, path: Path) -> bool:
        """Whether a path leads to the sealing key, or to a private file of the gateway."""
        return self._external.is_private(path)

    def variable(self, name: str) -> str:
        """The environment variable of a secret."""
        return self._external.variable(name)

    def find(self, name: str) -> tuple[str, ...]:
        """The values of a secret: the current one, then replaced ones that are still valid.

        Empty if there is no such secret.
        """
        now = time.monotonic()
        version = 0 if self._sealed is None else self._sealed.version
        cached = self._cached.get(name)
        if cached is None or now - cached[0] > CACHED or cached[1] != version:
            cached = self._cached[name] = (now, version, self.look_up(name))
            if len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
        return cached[2]

    def look_up(self, name: str) -> tuple[str, ...]:
        """As :meth:`find`, past the cache."""
        external = self._external.find(name)
        return self._find_sealed(name) if external is None else (external[1],)

    def origin(self, name: str) -> str | None:
        """The origin of the current value: ``environment``, ``file`` or ``sealed``; or None."""
        external = self._external.find(name)
        if external is not None:
            return external[0]
        return "sealed" if self._find_sealed(name) else None

    def _find_sealed(self, name: str) -> tuple[str, ...]:
        return () if self._sealed is None else self._sealed.find(name)
