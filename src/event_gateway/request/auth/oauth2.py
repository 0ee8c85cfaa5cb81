"""``oauth2_client_credentials``: a token of an authorization server (RFC 6749, section 4.4)."""

from collections.abc import Callable

from event_gateway.core.webhook.security import Security
from event_gateway.request.auth.tokens import Tokens


def oauth2_client_credentials(
    method: Security, secrets: tuple[str, ...], tokens: Tokens
) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator; it raises TokenPending where there is no token at hand."""
    source = tokens.source(method, secrets[0])
    return lambda _id, _timestamp, _body: source.line()
