"""Whom a command trusts to be the gateway: ``--ca``, or the certificate of a local gateway."""

import ssl
from pathlib import Path

from event_gateway.cli.client.output import fail

_END = "-----END CERTIFICATE-----\n"


def context_for(url: str, ca: Path | None, certificate: str | None) -> ssl.SSLContext | None:
    """The TLS context for a gateway; None for plain HTTP. ``ca``: a file with the authority of its
    certificate; ``certificate``: the file with that of the gateway that runs here, the only one
    that is then trusted. Ends the command if a file cannot be used."""
    if not url.startswith("https:"):
        return None
    file = ca or certificate
    try:
        if ca is None and certificate is not None:
            return _trusting_only(Path(certificate))
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        why = getattr(error, "strerror", None) or str(error)
        fail(f"--ca: {file}: {why}" if ca else f"{file}: {why}", 2)


def _trusting_only(certificate: Path) -> ssl.SSLContext:
    """Trusts the first certificate of a file itself, whatever name it is for."""
    leaf, end, _ = certificate.read_text("latin-1").partition(_END)
    context = ssl.create_default_context(cadata=leaf + end)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
