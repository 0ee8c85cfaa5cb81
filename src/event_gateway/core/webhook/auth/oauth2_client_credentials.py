"""``oauth2_client_credentials``: a token of an authorization server (RFC 6749, section 4.4)."""

from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    authorization,
    nothing_more,
)
from event_gateway.core.webhook.security import Security


def _authenticator(
    settings: Security, secrets: tuple[str, ...], tokens: TokenSources
) -> Authenticator:
    """The authenticator raises what the token source raises while it has no token."""
    source = tokens.source(settings, secrets[0])
    return lambda _id, _timestamp, _body: source.line()


OAUTH2_CLIENT_CREDENTIALS = AuthMethod(
    auth_type="oauth2_client_credentials",
    required=("token_url", "client_id", "secret_name"),
    optional=("scope", "client_auth", "audience", "params"),
    header=authorization,
    authenticator=_authenticator,
    redaction=HiddenTexts(header=True, from_secret=nothing_more, from_header=nothing_more),
    uses_token=True,
)
