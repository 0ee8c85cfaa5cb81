"""``hmac_signature``: signatures as in Standard Webhooks 1.0.

Each key makes a signature, so that receivers can change from one key to the next.
"""

from collections.abc import Iterator

from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    nothing_more,
)
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.signing_keys import signers


def hmac_signature(
    _settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    """The authenticator. Each secret has one or more signing keys, separated by spaces.

    Raises ValueError if one of them is not a signing key.
    """
    signing = signers(secrets)
    if not signing:
        raise ValueError("it contains no signing key")
    sign, *others = signing

    def authenticate(message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        content = b"%b.%b.%b" % (message_id, timestamp, body)
        signatures = sign(content)
        for sign_too in others:
            signatures += b" " + sign_too(content)
        return b"webhook-signature: %b\r\n" % signatures

    return authenticate


def _from_secret(_settings: Security, secret: str) -> Iterator[str]:
    """The keys without their prefixes."""
    return (key.partition("_")[2] for key in secret.split())


HMAC_SIGNATURE = AuthMethod(
    auth_type="hmac_signature",
    required=("secret_name",),
    optional=(),
    header=lambda _settings: "webhook-signature",
    authenticator=hmac_signature,
    # A signature reveals nothing of its key.
    redaction=HiddenTexts(header=False, from_secret=_from_secret, from_header=nothing_more),
)
