"""``basic``: user and password in ``Authorization`` (RFC 7617)."""

import base64
from collections.abc import Iterator

from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    authorization,
    header_line,
)
from event_gateway.core.webhook.security import Security


def _authenticator(
    settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    """The secret is the password of ``username``, or without a ``username`` ``user:password``."""
    if not settings.username and ":" not in secrets[0]:
        raise ValueError("without a username beside it, it must be user:password")
    line = header_line("Authorization", f"Basic {_credentials(settings, secrets[0])}")
    return lambda _id, _timestamp, _body: line


def _credentials(settings: Security, secret: str) -> str:
    """User and password, encoded for the header."""
    user_password = f"{settings.username}:{secret}" if settings.username else secret
    return base64.b64encode(user_password.encode()).decode()


def _from_secret(settings: Security, secret: str) -> Iterator[str]:
    yield _credentials(settings, secret)
    yield secret.partition(":")[2]


def _from_header(value: str) -> Iterator[str]:
    user_password = base64.b64decode(value.removeprefix("Basic ")).decode("utf-8", "replace")
    yield user_password
    yield user_password.partition(":")[2]


BASIC = AuthMethod(
    auth_type="basic",
    required=("secret_name",),
    optional=("username",),
    header=authorization,
    authenticator=_authenticator,
    redaction=HiddenTexts(header=True, from_secret=_from_secret, from_header=_from_header),
)
