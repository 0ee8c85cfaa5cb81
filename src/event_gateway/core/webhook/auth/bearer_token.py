"""``bearer_token``: the secret unchanged, in ``Authorization`` (RFC 6750, section 2.1)."""

from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    authorization,
    header_line,
    nothing_more,
)
from event_gateway.core.webhook.security import Security


def _authenticator(
    _settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    line = header_line("Authorization", f"Bearer {secrets[0]}")
    return lambda _id, _timestamp, _body: line


BEARER_TOKEN = AuthMethod(
    auth_type="bearer_token",
    required=("secret_name",),
    optional=(),
    header=authorization,
    authenticator=_authenticator,
    redaction=HiddenTexts(header=True, from_secret=nothing_more, from_header=nothing_more),
)
