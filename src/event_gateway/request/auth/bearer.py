"""``bearer_token``: the secret as it is, in ``Authorization`` (RFC 6750, section 2.1)."""

from collections.abc import Callable

from event_gateway.core.webhook.security import Security
from event_gateway.request.auth.header import header_line
from event_gateway.request.auth.tokens import Tokens


def bearer_token(
    _method: Security, secrets: tuple[str, ...], _tokens: Tokens
) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator. Raises ValueError where the secret cannot stand in a header."""
    line = header_line("Authorization", f"Bearer {secrets[0]}")
    return lambda _id, _timestamp, _body: line
