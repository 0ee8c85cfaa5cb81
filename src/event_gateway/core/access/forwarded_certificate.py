"""``X-Forwarded-Client-Cert``, as Envoy and others write it: the certificate that a client has
shown to a proxy."""

import functools
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from event_gateway.core.access.client_certificate import (
    ClientCertificate,
    UnreadableCertificate,
    certificate_from_pem,
)
from event_gateway.core.access.forwarded import Header, elements, pairs

NAME = b"x-forwarded-client-cert"
MAX_KNOWN = 8192  # bytes of a header that is not read again for each request
_ONCE = frozenset(("hash", "cert", "subject", "chain"))


def forwarded_certificate(headers: Iterable[Header]) -> ClientCertificate | None:
    """The certificate of the client that connected to the last proxy; None if it has shown none.

    The last element of the last line counts, which the last proxy has written. Raises
    UnreadableCertificate.
    """
    line = None
    for name, value in headers:
        if name == NAME:
            line = value
    if line is None:
        return None
    return _read(line) if len(line) <= MAX_KNOWN else _read.__wrapped__(line)


@functools.lru_cache(maxsize=256)
def _read(line: bytes) -> ClientCertificate | None:
    """Reads the last element of a line. What it says in ``Cert`` (the certificate, in PEM and
    percent-encoded) goes before its other parts."""
    element = next(elements([line.decode("latin-1")]), None)
    if element is None:
        return None
    try:
        found = pairs(element)
    except ValueError as error:
        raise UnreadableCertificate(str(error)) from None
    names = [name for name, _ in found]
    if any(names.count(name) > 1 for name in _ONCE):
        raise UnreadableCertificate("it says a thing twice")
    values = {name: text.replace('\\"', '"') for name, text in found}
    if values.get("cert"):
        return certificate_from_pem(unquote_to_bytes(values["cert"]))
    certificate = ClientCertificate(
        subject=values.get("subject", ""),
        uris=tuple(text for name, text in found if name == "uri" and text),
        dns=tuple(text for name, text in found if name == "dns" and text),
        fingerprint=values.get("hash", "").lower(),
    )
    return None if certificate == ClientCertificate() else certificate
