"""The files that TLS connections need, to receivers and to the gateway's own servers: client
certificates and authorities.

The files are read again every few seconds, so that new connections use a renewed certificate
without a restart. Connections are reused only with equal contents of the files.
"""

import hashlib
import ssl
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

log = structlog.get_logger(__name__)

CHECK_INTERVAL = 5.0  # seconds between two reads of the files
MAX_FILE_BYTES = 1024 * 1024
HTTP = ("http/1.1",)


def _nothing(_path: Path) -> bool:
    return False


class NamedFiles(Protocol):
    """What names the files of a connection; each may be empty."""

    @property
    def cert(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...

    @property
    def ca(self) -> str | None: ...


class Identity(msgspec.Struct, frozen=True, weakref=True):
    """The TLS context made of some files. Connections are shared only within one ``key``."""

    key: str
    context: ssl.SSLContext


# Webhooks with equal files share a context, which takes some 100 KB.
_identities: weakref.WeakValueDictionary[str, Identity] = weakref.WeakValueDictionary()


class Trust:
    """The authorities of receivers that name none: the system's, and those in ``file`` (PEM).

    Raises ValueError, as :meth:`use` does, if the file is unusable.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.use(file)

    def use(self, file: Path | None) -> None:
        """Trusts the authorities in another file from now on; None for the system's alone.
        Changes nothing and raises ValueError, naming the fault, if the file is unusable."""
        pem = b"" if file is None else read_file(file, "ca")
        self._use(pem, file)

    def _use(self, pem: bytes, file: Path | None) -> None:
        identity = (
            None if file is None else _identity((b"", b"", b"", pem), _trusting(b"", pem, HTTP))
        )
        self.file, self._pem, self._identity = file, pem, identity
        self._checked_at = time.monotonic()

    def pem(self) -> bytes:
        """The present content of the file; empty without a file."""
        self.identity()
        return self._pem

    def identity(self) -> Identity | None:
        """The identity with the file as it is now, or as it was while it is unusable; None if only
        the system's authorities are trusted."""
        if self.file is not None and time.monotonic() - self._checked_at > CHECK_INTERVAL:
            self._checked_at = time.monotonic()
            try:
                pem = read_file(self.file, "ca")
                if pem != self._pem:
                    self._use(pem, self.file)
            except ValueError as error:
                log.warning("authorities of receivers not renewed", reason=str(error))
        return self._identity


class TlsFiles:
    """The files of one webhook or server: ``cert``, ``key`` and ``ca`` of ``method``, each possibly
    empty, relative to ``directory``. Without a ``ca``, the authorities are those of ``trust``.
    ``is_private``: whether a file is one of the gateway's own, which are not read. ``protocols``:
    what the connection offers by ALPN."""

    def __init__(
        self,
        method: NamedFiles,
        directory: Path,
        is_private: Callable[[Path], bool] = _nothing,
        trust: Trust | None = None,
        *,
        protocols: Sequence[str] = HTTP,
    ) -> None:
        self._protocols = protocols
        self._method = method
        self._directory = directory
        self._is_private = is_private
        self._trust = trust or Trust()
        self._former: Identity | None = None
        self._checked_at = 0.0

    def identity(self, password: str | None) -> Identity:
        """The identity from the files; the previous one while the files are unusable, since an
        operator may be replacing them.

        Raises ValueError, naming the file and its fault, when there is no previous one."""
        now = time.monotonic()
        if self._former is None or now - self._checked_at > CHECK_INTERVAL:
            try:
                self._former = self._load(password)
            except ValueError as error:
                if self._former is None:
                    raise
                log.warning("TLS files not renewed", reason=str(error))
            self._checked_at = now
        return self._former

    def _load(self, password: str | None) -> Identity:
        cert, key, ca = (self._read(name) for name in ("cert", "key", "ca"))
        more = b"" if ca else self._trust.pem()
        contents = (cert, key, ca, more, (password or "").encode(), repr(self._protocols).encode())

        def context() -> ssl.SSLContext:
            made = _trusting(ca, more, self._protocols)()
            if cert:
                self._load_certificate(made, password)
            return made

        return _identity(contents, context)

    def _load_certificate(self, context: ssl.SSLContext, password: str | None) -> None:
        cert, key = self._path("cert"), self._path("key")
        assert cert is not None
        try:
            # Without a password argument OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(cert, key, password=password or "")
        except ssl.SSLError as error:
            default = "not PEM, no matching pair, or the password is wrong"
            why = error.reason.lower().replace("_", " ") if error.reason else default
            raise ValueError(f"cert, key: {cert}, {key}: {why}") from None

    def _path(self, name: str) -> Path | None:
        path = getattr(self._method, name)
        return self._directory / path if path else None

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        return b"" if path is None else read_file(path, name, self._is_private)


def read_file(path: Path, key: str, is_private: Callable[[Path], bool] = _nothing) -> bytes:
    """The content of a file. Raises ValueError, naming ``key`` and the fault; with the key ``ca``
    also if the file does not hold certificates."""
    if is_private(path):
        raise ValueError(f"{key}: {path} is a private file of the gateway")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        why = getattr(error, "strerror", None) or "it is no path"
        raise ValueError(f"{key}: {path} cannot be read: {why}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{key}: {path} is larger than {MAX_FILE_BYTES} bytes")
    if key == "ca":
        try:
            _certificates(content)
        except ValueError as error:
            raise ValueError(f"{key}: {path}: {error}") from None
    return content


def _certificates(pem: bytes) -> bytes:
    """The certificates of a PEM bundle, one after another in DER. Raises ValueError if there is
    none, or if one is damaged."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    try:
        return b"".join(
            certificate.public_bytes(Encoding.DER)
            for certificate in x509.load_pem_x509_certificates(pem)
        )
    except ValueError:
        raise ValueError("holds a damaged certificate") from None


def _trusting(ca: bytes, more: bytes, protocols: Sequence[str]) -> Callable[[], ssl.SSLContext]:
    """Makes a context that trusts the authorities ``ca`` (PEM), or without them the system's and
    ``more``."""

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=_certificates(ca) if ca else None)
        if more:
            made.load_verify_locations(cadata=_certificates(more))
        if protocols:
            made.set_alpn_protocols(protocols)
        return made

    return context


def _identity(contents: tuple[bytes, ...], make: Callable[[], ssl.SSLContext]) -> Identity:
    """The identity of these contents, which ``make`` makes if there is none."""
    lengths = b" ".join(b"%d" % len(content) for content in contents)
    key = hashlib.sha256(b"\0".join((lengths, *contents))).hexdigest()
    identity = _identities.get(key)
    if identity is None:
        try:
            identity = Identity(key, make())
        except ssl.SSLError as error:
            raise ValueError(f"ca: {error.reason or error}") from None
        _identities[key] = identity
    return identity
