"""``mtls``: client certificates towards receivers, and authorities of one's own.

The files are looked at anew every few seconds, so that a renewed certificate is used without a
restart: by new connections, since one that is open has proven who it is.
"""

import hashlib
import ssl
import time
from pathlib import Path

import msgspec
import structlog

from event_gateway.core.webhook.security import Security

log = structlog.get_logger(__name__)

LOOK = 5.0  # seconds between two looks at the files
MAX_BYTES = 1024 * 1024  # of each file


class Identity(msgspec.Struct, frozen=True):
    """What TLS connections are opened with; those of different ``key`` are not shared."""

    key: str
    context: ssl.SSLContext


class ClientCertificate:
    """The identity of one webhook, from files that are relative to ``directory``."""

    def __init__(self, method: Security, directory: Path) -> None:
        self._method = method
        self._directory = directory
        self._identity: Identity | None = None
        self._looked = 0.0
        self._seen = b""

    def identity(self, password: str | None) -> Identity:
        """The present one; the former where the files have just become unusable, since somebody may
        be renewing them. Raises ValueError with the file and what is wrong with it."""
        now = time.monotonic()
        if self._identity is None or now - self._looked > LOOK:
            try:
                self._look(password)
            except ValueError as error:
                if self._identity is None:
                    raise
                log.warning("client certificate not renewed", why=str(error))
            self._looked = now
        assert self._identity is not None
        return self._identity

    def _look(self, password: str | None) -> None:
        contents = [self._read(name) for name in ("cert", "key", "ca")]
        contents.append((password or "").encode())
        seen = hashlib.sha256(b"\0".join(contents)).digest()
        if self._identity is None or seen != self._seen:
            self._identity = Identity(seen.hex(), self._context(password))
            self._seen = seen

    def _path(self, name: str) -> Path | None:
        path = getattr(self._method, name)
        return self._directory / path if path else None

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        if path is None:
            return b""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{name}: {path} cannot be read: {error.strerror}") from None
        if len(content) > MAX_BYTES:
            raise ValueError(f"{name}: {path} is larger than {MAX_BYTES} bytes")
        return content

    def _context(self, password: str | None) -> ssl.SSLContext:
        cert, key, ca = (self._path(name) for name in ("cert", "key", "ca"))
        assert cert is not None
        try:
            context = ssl.create_default_context(cafile=ca)
        except ssl.SSLError as error:
            raise ValueError(f"ca: {ca}: {_words(error, 'holds no certificate')}") from None
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password of ours it would be asked for on the terminal.
            context.load_cert_chain(cert, key, password=password or "")
        except ssl.SSLError as error:
            why = _words(error, "not PEM, not of one pair, or the password is wrong")
            raise ValueError(f"cert, key: {cert}, {key}: {why}") from None
        return context


def _words(error: ssl.SSLError, otherwise: str) -> str:
    return error.reason.lower().replace("_", " ") if error.reason else otherwise
