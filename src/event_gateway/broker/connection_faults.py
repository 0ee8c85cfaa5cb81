"""Why NATS does not accept a connection, and what an operator must change."""

from event_gateway.broker.login import NatsLogin, NatsLoginFailed
from event_gateway.core.access.tls_fault import tls_fault

# Words of the server's errors about who the gateway is.
_REFUSALS = ("authorization", "authentication", "authenticated", "credentials", "revoked")
_TOO_LATE = "authentication timeout"  # a slow network, or a busy machine


def refusal_of(error: BaseException, login: NatsLogin) -> str | None:
    """What an operator must change so that NATS accepts the connection, beginning with the key of
    the configuration; None if the server may only be away."""
    if isinstance(error, NatsLoginFailed):
        return str(error)
    text = str(error).removeprefix("nats: ").strip("'")
    if _TOO_LATE not in text.lower() and any(word in text.lower() for word in _REFUSALS):
        return f"{login.key}: the server does not accept the gateway: {text}"
    if "tls required" in text.lower():
        return f"nats.tls: {text}"
    return tls_fault(error, "nats")


def unanswered(error: BaseException, login: NatsLogin) -> str:
    """What is known of a server that does not answer as one of NATS does."""
    text = str(error) or type(error).__name__
    if "INFO" in text:  # it closed the connection without a greeting
        return f"{text} (does it expect nats.tls.handshake_first?)"
    if login.handshake_first and isinstance(error, TimeoutError):
        return f"{text} (nats.tls.handshake_first: does the server begin with TLS?)"
    if login.tls is not None and isinstance(error, ConnectionResetError):
        return f"{text} (nats.tls.cert: does the server ask for a client certificate?)"
    return text
