"""What a TLS error of a connection to NATS or Redis means: the setting to look at, and why."""

import ssl

# Alerts with which a server refuses the certificate of the client, or asks for one.
_CERTIFICATE_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    "HANDSHAKE_FAILURE",  # how OpenSSL below TLS 1.3 refuses a client without a certificate
)
# What OpenSSL says of an answer that is not TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


def tls_fault(error: BaseException, section: str) -> str | None:
    """What is wrong with a TLS connection, beginning with the key of the configuration;
    ``section`` is ``nats`` or ``redis``. None if ``error`` (or its cause) is no TLS error, or one
    that may pass, as while the server restarts."""
    fault: BaseException | None = error
    while fault is not None and not isinstance(fault, ssl.SSLError):
        fault = fault.__cause__ or fault.__context__
    if fault is None:
        return None
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _of_certificate(fault, section)
    reason = (fault.reason or "").upper()
    said = reason.lower().replace("_", " ")
    if any(alert in reason for alert in _CERTIFICATE_ALERTS) and "ALERT" in reason:
        return f"{section}.tls.cert: the server asks for another client certificate ({said})"
    if any(no_tls in reason for no_tls in _NO_TLS):
        return f"{section}.tls: the server does not speak TLS on this port ({said})"
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return f"{section}.tls: the server has no TLS version in common with the gateway ({said})"
    return None


def _of_certificate(error: ssl.SSLCertVerificationError, section: str) -> str:
    message = getattr(error, "verify_message", "") or str(error)
    lowered = message.lower()
    if "mismatch" in lowered or "doesn't match" in lowered:
        return f"{section}.url: the server's certificate is of another host: {message}"
    if "expired" in lowered:
        return f"{section}.url: the server's certificate has expired"
    if "not yet valid" in lowered:
        return f"{section}.url: the server's certificate is not yet valid"
    return (
        f"{section}.tls.ca: the server's certificate was issued by no authority that the gateway "
        f"trusts ({message})"
    )
