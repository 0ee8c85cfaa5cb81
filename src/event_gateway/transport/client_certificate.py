"""``mtls``: client certificates for receivers, and private certificate authorities.

The files are read again every few seconds, so that new connections use a renewed certificate
without a restart. Open connections keep the certificate with which they were opened.
"""

import hashlib
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from event_gateway.core.webhook.security import Security

log = structlog.get_logger(__name__)

CHECK_INTERVAL = 5.0  # seconds between two reads of the files
MAX_FILE_BYTES = 1024 * 1024


class Identity(msgspec.Struct, frozen=True):
    """The TLS context of a client certificate. Connections are shared only within one ``key``."""

    key: str
    context: ssl.SSLContext


class ClientCertificate:
    """The client certificate of one webhook; its file names are relative to ``directory``.
    ``is_private``: whether a file is one of the gateway's own, which are not read."""

    def __init__(
        self,
        method: Security,
        directory: Path,
        is_private: Callable[[Path], bool] = lambda _path: False,
    ) -> None:
        self._method = method
        self._directory = directory
        self._is_private = is_private
        self._identity: Identity | None = None
        self._checked_at = 0.0
        self._digest = b""

    def identity(self, password: str | None) -> Identity:
        """The identity from the files; the previous one while the files are unusable, since
        somebody may be replacing them.

        Raises ValueError, naming the file and its fault, when there is no previous one."""
        now = time.monotonic()
        if self._identity is None or now - self._checked_at > CHECK_INTERVAL:
            try:
                self._load(password)
            except ValueError as error:
                if self._identity is None:
                    raise
                log.warning("client certificate not renewed", why=str(error))
            self._checked_at = now
        assert self._identity is not None
        return self._identity

    def _load(self, password: str | None) -> None:
        contents = [self._read(name) for name in ("cert", "key", "ca")]
        contents.append((password or "").encode())
        digest = hashlib.sha256(b"\0".join(contents)).digest()
        if self._identity is None or digest != self._digest:
            self._identity = Identity(digest.hex(), self._context(password))
            self._digest = digest

    def _path(self, name: str) -> Path | None:
        path = getattr(self._method, name)
        return self._directory / path if path else None

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        if path is None:
            return b""
        if self._is_private(path):
            raise ValueError(f"{name}: {path} is a private file of the gateway")
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{name}: {path} cannot be read: {error.strerror}") from None
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"{name}: {path} is larger than {MAX_FILE_BYTES} bytes")
        return content

    def _context(self, password: str | None) -> ssl.SSLContext:
        cert, key, ca = (self._path(name) for name in ("cert", "key", "ca"))
        assert cert is not None
        try:
            context = ssl.create_default_context(cafile=ca)
        except ssl.SSLError as error:
            raise ValueError(f"ca: {ca}: {_reason(error, 'holds no certificate')}") from None
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password argument OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(cert, key, password=password or "")
        except ssl.SSLError as error:
            why = _reason(error, "not PEM, no matching pair, or the password is wrong")
            raise ValueError(f"cert, key: {cert}, {key}: {why}") from None
        return context


def _reason(error: ssl.SSLError, default: str) -> str:
    return error.reason.lower().replace("_", " ") if error.reason else default
