"""The TLS context of the listener, and which of its authorities has vouched for a client."""

import contextlib
import hashlib
import ssl
from _ssl import ENCODING_DER
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509


class ListenerContext(ssl.SSLContext):
    """``authorities``: SHA-256 of each that may vouch for a client's certificate; ``issuers``: the
    same with their certificates."""

    authorities: frozenset[str] = frozenset()
    issuers: "tuple[tuple[str, x509.Certificate], ...]" = ()


def authorities_of(tls: ssl.SSLObject) -> frozenset[str]:
    """The SHA-256 of the authority that has vouched for the client's certificate. A session that
    was resumed has no chain: then that of the issuer, or of all if none of them is the issuer."""
    context = tls.context
    if not isinstance(context, ListenerContext) or not context.authorities:
        return frozenset()
    # Python 3.13 has a method of its own, which gives bytes.
    chain = tls._sslobj.get_verified_chain()  # type: ignore[attr-defined]
    if not chain:
        return _issuer_of(tls.getpeercert(binary_form=True) or b"", context) or context.authorities
    root = chain[-1].public_bytes(ENCODING_DER)
    return frozenset((hashlib.sha256(root).hexdigest(),))


def _issuer_of(der: bytes, context: ListenerContext) -> frozenset[str]:
    """The authority that has signed a certificate; empty if none has."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate = x509.load_der_x509_certificate(der)
        named = [known for known in context.issuers if known[1].subject == certificate.issuer]
    except (ValueError, x509.InvalidVersion):
        return frozenset()
    for fingerprint, authority in named:
        with contextlib.suppress(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            certificate.verify_directly_issued_by(authority)
            return frozenset((fingerprint,))
    return frozenset()
