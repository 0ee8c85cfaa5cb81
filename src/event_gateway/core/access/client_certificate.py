"""What a client's certificate says of its holder (RFC 5280). The gateway or a proxy has verified
it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography import x509

MAX_NAMES = 100  # alternative names that are read of a certificate


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """``subject`` as RFC 4514 writes it; ``dns``, ``uris``, ``emails`` and ``addresses``: its
    alternative names; ``fingerprint``: SHA-256 of the certificate in hex; ``serial``: in hex;
    ``issuer`` as ``subject``; ``expires_at`` in seconds since the epoch; ``authorities``: SHA-256
    of those of which one has vouched for it, none where a proxy has verified it.

    A proxy may tell a part of this only: then the rest is empty or None.
    """

    subject: str = ""
    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    fingerprint: str = ""
    serial: str = ""
    issuer: str = ""
    expires_at: float | None = None
    authorities: frozenset[str] = frozenset()


class UnreadableCertificate(Exception):
    """OpenSSL takes the certificate, but what it says cannot be read; the text says why."""


def certificate_from_der(
    der: bytes, authorities: frozenset[str] = frozenset()
) -> ClientCertificate:
    """What a certificate says. Raises UnreadableCertificate."""
    from cryptography import x509

    certificate = _read(x509.load_der_x509_certificate, der)
    return msgspec.structs.replace(certificate, authorities=authorities)


def certificate_from_pem(pem: bytes) -> ClientCertificate:
    """The same for the first certificate in PEM. Raises UnreadableCertificate."""
    from cryptography import x509

    return _read(x509.load_pem_x509_certificate, pem)


def _read(load: "Callable[[bytes], x509.Certificate]", content: bytes) -> ClientCertificate:
    from cryptography import x509

    try:
        return _content(load(content))
    except (  # what OpenSSL may take
        ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
    ) as error:  # fmt: skip
        raise UnreadableCertificate(str(error)) from None


def _content(certificate: "x509.Certificate") -> ClientCertificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    else:
        names = extension.value
    if len(names) > MAX_NAMES:
        raise UnreadableCertificate(f"it has more than {MAX_NAMES} alternative names")
    return ClientCertificate(
        subject=certificate.subject.rfc4514_string(),
        dns=tuple(names.get_values_for_type(x509.DNSName)),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        emails=tuple(names.get_values_for_type(x509.RFC822Name)),
        addresses=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=f"{certificate.serial_number:x}",
        issuer=certificate.issuer.rfc4514_string(),
        expires_at=certificate.not_valid_after_utc.timestamp(),
    )
