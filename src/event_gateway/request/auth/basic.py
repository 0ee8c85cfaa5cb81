"""``basic``: user and password in ``Authorization`` (RFC 7617)."""

import base64
from collections.abc import Callable

from event_gateway.core.webhook.security import Security
from event_gateway.request.auth.header import header_line
from event_gateway.request.auth.tokens import Tokens


def basic(
    method: Security, secrets: tuple[str, ...], _tokens: Tokens
) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator of ``username`` and the secret as password, or of a secret
    ``user:password``. Raises ValueError where that has no colon."""
    if not method.username and ":" not in secrets[0]:
        raise ValueError("without a username beside it, it must be user:password")
    line = header_line("Authorization", f"Basic {credentials(method, secrets[0])}")
    return lambda _id, _timestamp, _body: line


def credentials(method: Security, secret: str) -> str:
    """User and password as they are sent."""
    both = f"{method.username}:{secret}" if method.username else secret
    return base64.b64encode(both.encode()).decode()
