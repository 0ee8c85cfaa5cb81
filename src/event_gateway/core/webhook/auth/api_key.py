"""``api_key``: the secret unchanged, in a header of its own."""

from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    header_line,
    nothing_more,
)
from event_gateway.core.webhook.security import API_KEY_HEADER, Security


def _header(settings: Security) -> str:
    return settings.header or API_KEY_HEADER


def _authenticator(
    settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    line = header_line(_header(settings), secrets[0])
    return lambda _id, _timestamp, _body: line


API_KEY = AuthMethod(
    auth_type="api_key",
    required=("secret_name",),
    optional=("header",),
    header=_header,
    authenticator=_authenticator,
    redaction=HiddenTexts(header=True, from_secret=nothing_more, from_header=nothing_more),
)
