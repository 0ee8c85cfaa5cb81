"""``api_key``: the secret as it is, in a header of its own."""

from collections.abc import Callable

from event_gateway.core.webhook.security import API_KEY_HEADER, Security
from event_gateway.request.auth.header import header_line
from event_gateway.request.auth.tokens import Tokens


def api_key(
    method: Security, secrets: tuple[str, ...], _tokens: Tokens
) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator. Raises ValueError where the secret cannot stand in a header."""
    line = header_line(method.header or API_KEY_HEADER, secrets[0])
    return lambda _id, _timestamp, _body: line
