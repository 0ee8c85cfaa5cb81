"""Secrets by name: from the environment, else from a file, else from the sealed secrets."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from event_gateway.core.access.narrowing import is_within
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.sealed import SealedSecrets

CACHED = 5.0  # seconds for which a value is used before it is looked up again
MAX_CACHED = 4096  # names


class SecretNamespaces:
    """The namespaces that may use the secrets outside the gateway, by name, as configured."""

    def __init__(self, by_name: Mapping[str, Sequence[str]] | None = None) -> None:
        self.version = 0  # changes with each change
        self._by_name = dict(by_name or {})

    def use(self, by_name: Mapping[str, Sequence[str]]) -> None:
        """Applies a changed configuration."""
        self.version += 1
        self._by_name = dict(by_name)

    def of(self, name: str) -> tuple[str, ...]:
        """The namespaces of a secret; empty: only operators' webhooks use it."""
        return tuple(self._by_name.get(name, ()))

    def names(self) -> list[str]:
        """The secrets that any namespace may use."""
        return [name for name, namespaces in self._by_name.items() if namespaces]


class Secrets:
    """Looks up secrets when they are needed. Values are never logged.

    ``owner``: only secrets that all these namespaces may use are found; empty: every secret.
    """

    def __init__(
        self,
        external: ExternalSecrets,
        sealed: SealedSecrets | None = None,
        *,
        namespaces: SecretNamespaces | None = None,
        owner: tuple[str, ...] = (),
    ) -> None:
        self._external = external
        self._sealed = sealed
        self._of_callers: frozenset[str] = frozenset()
        self._of_sources: Callable[[], Iterable[str]] = tuple
        self._namespaces = namespaces or SecretNamespaces()
        self._owner = owner
        self._cached: dict[str, tuple[float, int, tuple[str, ...]]] = {}

    def of(self, owner: tuple[str, ...]) -> "Secrets":
        """The secrets for a webhook of this owner."""
        if not owner:
            return self
        return Secrets(self._external, self._sealed, namespaces=self._namespaces, owner=owner)

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

    def keep_for_sources(self, names: Callable[[], Iterable[str]]) -> None:
        """From now on :meth:`proves_callers` also of these names: those of inbound sources."""
        self._of_sources = names

    def proves_callers(self, name: str) -> bool:
        """Whether callers of the gateway, or senders to a source, prove themselves with a secret,
        however its name is written: a receiver that got it, or what it signs, could act as the
        caller."""
        variable = self.variable(name)
        return variable in self._of_callers or any(
            self.variable(other) == variable for other in self._of_sources()
        )

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
        if self._owner:
            version += self._namespaces.version
        cached = self._cached.get(name)
        if cached is None or now - cached[0] > CACHED or cached[1] != version:
            cached = self._cached[name] = (now, version, self.look_up(name))
            if len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
        return cached[2]

    def look_up(self, name: str) -> tuple[str, ...]:
        """As :meth:`find`, past the cache."""
        external = self._external.find(name)
        if external is None:
            return self._find_sealed(name)
        return (external[1],) if self._may_use(self._namespaces.of(name)) else ()

    def origin(self, name: str) -> str | None:
        """The origin of the current value: ``environment``, ``file`` or ``sealed``; or None."""
        external = self._external.find(name)
        if external is not None:
            return external[0]
        return "sealed" if self._find_sealed(name) else None

    def namespaces(self, name: str) -> tuple[str, ...]:
        """The namespaces that may use a secret; empty if there is none: only operators' webhooks
        use it."""
        return self.described(name)[1]

    def described(self, name: str) -> tuple[str | None, tuple[str, ...]]:
        """The origin of a secret outside the gateway (None: it is not there), and its namespaces,
        as :meth:`namespaces` has them."""
        external = self._external.find(name)
        if external is not None:
            return external[0], self._namespaces.of(name)
        return None, () if self._sealed is None else self._sealed.namespaces(name)

    def configured(self) -> list[str]:
        """The secrets outside the gateway that the configuration gives to namespaces."""
        return self._namespaces.names()

    def _find_sealed(self, name: str) -> tuple[str, ...]:
        if self._sealed is None or not self._may_use(self._sealed.namespaces(name)):
            return ()
        return self._sealed.find(name)

    def _may_use(self, namespaces: tuple[str, ...]) -> bool:
        return not self._owner or is_within(self._owner, namespaces)
