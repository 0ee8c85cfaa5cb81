"""One-time links, which sign in the first client that opens them.

A link is a file in the data directory, named by the digest of its token; taking it renames the
file, which succeeds once, whatever process tries.
"""

import contextlib
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from event_gateway.console.sealing import Sealer
from event_gateway.private_file import write_private

LIFETIME = 600.0  # seconds
PATH = "/sign-in/once"


@dataclass(frozen=True, slots=True)
class TakenLink:
    """A link that no other client can use now. ``key``: with which it signs in."""

    key: str = field(repr=False)
    _place: Path
    _file: Path

    def used(self) -> None:
        """It has signed a user in, or never can."""
        self._file.unlink(missing_ok=True)

    def give_back(self) -> None:
        """It could not be tried: it may be used until its time is over."""
        with contextlib.suppress(OSError):
            self._file.rename(self._place)


class OneTimeLinks:
    """The links of a console. ``directory``: that of the console in the data directory."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory / "links"
        self._sealer = sealer

    def create(self, key: str, lifetime: float = LIFETIME) -> str:
        """The path and query of a new link that signs in with a key. ``lifetime``: seconds. Raises
        OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        token = secrets.token_urlsafe(32)
        sealed = self._sealer.seal("link", {"key": key}, time.time() + lifetime)
        write_private(self._directory / _digest(token), sealed)
        return f"{PATH}?token={token}"

    def take(self, token: str) -> TakenLink | None:
        """A link that nobody has used yet; None for all others."""
        path = self._directory / _digest(token)
        taken = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            path.rename(taken)  # for one of several that try
            content = self._sealer.open("link", taken.read_text())
            if content is None:
                taken.unlink()
                return None
        except OSError:
            return None
        return TakenLink(str(content["key"]), path, taken)

    def _sweep(self) -> None:
        """Removes links that nobody has used in time."""
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # taken meanwhile
                if path.stat().st_mtime < time.time() - 2 * LIFETIME:
                    path.unlink()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
