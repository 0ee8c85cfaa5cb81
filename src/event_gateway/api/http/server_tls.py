"""The TLS of the listener: its certificate and key, and the authorities of client certificates.

The files are read again every few seconds. A new connection uses what they hold then; those that
are open go on.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from event_gateway.api.http.listener_context import ListenerContext
from event_gateway.beats import beat
from event_gateway.config.server_model import TlsModel
from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.errors import InvalidDefinition
from event_gateway.transport.tls_files import CHECK_INTERVAL, read_file

log = structlog.get_logger(__name__)

EXPIRES_SOON = 14 * 86400.0  # seconds before the end of a certificate at which it is warned of
_NO_PASSWORD = "the private key is encrypted: the gateway takes no password, decrypt the file"


@dataclass(frozen=True, slots=True)
class LoadedTls:
    """``context`` for new connections; ``expires_at``: the end of the gateway's certificate, in
    seconds since the epoch; ``revoked``: issuer and serial number of each certificate that the list
    of revoked ones names; ``crl_ends_at``: until when that list is valid."""

    context: ListenerContext
    contents: tuple[bytes, ...]
    expires_at: float
    revoked: frozenset[tuple[str, str]] = frozenset()
    crl_ends_at: float | None = None

    def warnings(self, now: float) -> list[tuple[str, str]]:
        """What will not work as its owner expects: pairs of key and reason."""
        found = []
        if self.expires_at <= now:
            found.append(("cert", f"the certificate expired on {_day(self.expires_at)}"))
        elif self.expires_at - now < EXPIRES_SOON:
            found.append(("cert", f"the certificate expires on {_day(self.expires_at)}"))
        if self.crl_ends_at is not None and self.crl_ends_at <= now:
            found.append((
                "client_crl",
                f"the list of revoked certificates ended on {_day(self.crl_ends_at)}: until there "
                "is a newer one, no client certificate is accepted",
            ))  # fmt: skip
        return found


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def load_tls(model: TlsModel, directory: Path) -> LoadedTls:
    """Reads the files, whose paths are relative to ``directory``. Raises InvalidDefinition with the
    key below ``server.tls`` and the fault."""
    cert, key, client_ca, client_crl = contents = _contents(model, directory)
    context = ListenerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    leaf = _certificates("cert", model.cert, cert)[0]
    _load_pair(context, model, directory, key or cert, leaf)
    revoked: frozenset[tuple[str, str]] = frozenset()
    crl_ends_at = None
    if client_ca:
        authorities = _certificates("client_ca", model.client_ca, client_ca)
        context.issuers = tuple(
            (authority.fingerprint(hashes.SHA256()).hex(), authority) for authority in authorities
        )
        context.authorities = frozenset(fingerprint for fingerprint, _ in context.issuers)
        _trust_authorities(context, client_ca)
        required = model.client_certificate == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        if client_crl:
            revoked, crl_ends_at = _revoked(model.client_crl, client_crl)
            _use_crl(context, model, directory)
    if _contents(model, directory) != contents:
        raise InvalidDefinition("cert", "the files are being replaced")
    return LoadedTls(
        context, contents, leaf.not_valid_after_utc.timestamp(), revoked, crl_ends_at=crl_ends_at
    )


def _contents(model: TlsModel, directory: Path) -> tuple[bytes, bytes, bytes, bytes]:
    """The contents of all four files; empty for those that are not set."""

    def content(key: str) -> bytes:
        name = getattr(model, key)
        if name is None:
            return b""
        try:
            return read_file(directory / name, key)
        except ValueError as error:
            raise InvalidDefinition(key, str(error).removeprefix(f"{key}: ")) from None

    return content("cert"), content("key"), content("client_ca"), content("client_crl")


def _certificates(key: str, name: object, pem: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        reason = f"{name} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        raise InvalidDefinition(key, reason)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise InvalidDefinition(key, f"{name} holds a damaged certificate") from None


def _load_pair(
    context: ssl.SSLContext, model: TlsModel, directory: Path, key: bytes, leaf: x509.Certificate
) -> None:
    """Loads certificate and key, of which the ssl module takes files only."""
    where = model.key or model.cert
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(directory / model.cert, directory / where, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        fault = _fault_of_key(key, leaf)
        if fault is not None:
            raise InvalidDefinition("key", f"{where}: {fault}") from None
        raise InvalidDefinition("cert", f"{model.cert}, {where}: {_said(error)}") from None


def _said(error: Exception) -> str:
    """What OpenSSL says, in words; else what the error says."""
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).lower().replace("_", " ")


def _fault_of_key(pem: bytes, certificate: x509.Certificate) -> str | None:
    """Why a key does not fit; None if the fault is elsewhere."""
    if b"PRIVATE KEY-----" not in pem:
        return "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        return _NO_PASSWORD
    except (ValueError, UnsupportedAlgorithm):
        return "holds a damaged private key"
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        return "the private key does not belong to the certificate"
    return None


def _trust_authorities(context: ssl.SSLContext, pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=pem.decode("latin-1"))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidDefinition("client_ca", _said(error)) from None


def _use_crl(context: ssl.SSLContext, model: TlsModel, directory: Path) -> None:
    """Loads a list of revoked certificates, of which the ssl module takes files only."""
    assert model.client_crl is not None
    try:
        context.load_verify_locations(cafile=directory / model.client_crl)
    except OSError as error:
        raise InvalidDefinition("client_crl", f"{model.client_crl}: {_said(error)}") from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _revoked(name: object, pem: bytes) -> tuple[frozenset[tuple[str, str]], float | None]:
    """The certificates that one list or several in a file revoke, and when the first list ends."""
    begin, end = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
    found: set[tuple[str, str]] = set()
    ends = []
    try:
        for part in pem.split(begin)[1:]:
            crl = x509.load_pem_x509_crl(begin + part.partition(end)[0] + end + b"\n")
            issuer = crl.issuer.rfc4514_string()
            found.update((issuer, f"{entry.serial_number:x}") for entry in crl)
            if crl.next_update_utc is not None:
                ends.append(crl.next_update_utc.timestamp())
    except ValueError:
        reason = f"{name} holds a damaged list of revoked certificates"
        raise InvalidDefinition("client_crl", reason) from None
    if begin not in pem:
        raise InvalidDefinition(
            "client_crl", f"{name} holds no list of revoked certificates in PEM ({begin.decode()})"
        )
    return frozenset(found), min(ends, default=None)


class ServerTls:
    """The TLS of a process' listener. ``expires``: called with the end of the certificate in use,
    in seconds since the epoch. Raises InvalidDefinition, as :func:`load_tls`."""

    def __init__(self, model: TlsModel, directory: Path, expires: Callable[[float], None]) -> None:
        self._expires = expires
        self.configure(model, directory)

    def configure(self, model: TlsModel, directory: Path) -> None:
        """Uses other files from now on. Raises InvalidDefinition, and the former ones stay."""
        self._use(load_tls(model, directory))
        self._model, self._directory = model, directory
        self._fault = ""  # that was logged

    def context(self) -> ssl.SSLContext:
        """The context of a new connection."""
        return self._loaded.context

    def refuses(self, certificate: ClientCertificate) -> str | None:
        """Why a client's certificate is not trusted any more, though it was in the handshake."""
        loaded = self._loaded
        if (certificate.issuer, certificate.serial) in loaded.revoked:
            return "the client certificate is revoked"
        if not certificate.authorities <= loaded.context.authorities:
            return "the authority of the client certificate is not trusted any more"
        return None

    def renew(self) -> None:
        """Uses the files as they are now, if they have changed; those of before while they are
        unusable, since an operator may be replacing them."""
        try:
            if _contents(self._model, self._directory) == self._loaded.contents:
                self._fault = ""
                return
            self._use(load_tls(self._model, self._directory))
        except InvalidDefinition as error:
            fault = f"server.tls.{error.key}: {error.detail}"
            if fault != self._fault:
                self._fault = fault
                log.warning("TLS files not renewed, the former ones stay", reason=fault)
            return
        self._fault = ""
        log.info("TLS files renewed", expires=_day(self._loaded.expires_at))
        for key, reason in self._loaded.warnings(time.time()):
            log.warning("TLS files need attention", key=f"server.tls.{key}", reason=reason)

    async def watch(self) -> None:
        """Renews the files when they change. It never returns."""
        while True:
            await beat(CHECK_INTERVAL)
            self.renew()

    def _use(self, loaded: LoadedTls) -> None:
        self._loaded = loaded
        self._expires(loaded.expires_at)
