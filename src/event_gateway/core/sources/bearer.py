"""Bearer tokens with which providers prove themselves: JSON Web Tokens of an issuer's keys."""

from functools import lru_cache

from event_gateway.core.access.token import (
    TokenRefused,
    UnknownKey,
    check_claims,
    read_token,
    signer_of,
)
from event_gateway.core.access.verification_keys import (
    PUBLIC_KEY,
    UnusableKeys,
    VerificationKeys,
    read_jwk_set,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Refused, Wanted
from event_gateway.core.text.endpoint_url import parse_endpoint_url

LEEWAY = 60.0  # seconds
_ALGORITHMS = frozenset(PUBLIC_KEY)


def check_bearer(
    inbound: Inbound, definition: SourceDefinition, proof: Proof, *, issuer: str = "",
    jwks_url: str = "",
) -> None:  # fmt: skip
    """Raises Refused unless the request has a token of the source's issuer for its audience, and,
    where the source names an ``email``, of this account. ``issuer`` and ``jwks_url``: the
    provider's, where the source names none. Raises Wanted for the issuer's keys."""
    settings = definition.settings
    scheme, _, text = inbound.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise Refused("signature", "there is no bearer token")
    url = settings.jwks_url or jwks_url
    try:
        token = read_token(text.strip())
        if token.issuer != (settings.issuer or issuer):
            raise TokenRefused("it is of another issuer")
        try:
            signer_of(token, _keys(proof.document(url)), _ALGORITHMS)
        except UnknownKey:
            raise Wanted(url, again=True) from None
        check_claims(
            token.claims, audience=frozenset((settings.audience,)), leeway=LEEWAY,
            now=inbound.received_at,
        )  # fmt: skip
        if settings.email:
            verified = token.claims.get("email_verified", True)
            if token.claims.get("email") != settings.email or verified is not True:
                raise TokenRefused("it is of another account")
    except TokenRefused as error:
        raise Refused("signature", f"the token is refused: {error}") from None
    except UnusableKeys as error:
        raise Refused("unconfigured", f"the keys of the token's issuer: {error}") from None


def check_urls(definition: SourceDefinition) -> None:
    """Raises InvalidDefinition if the URL of the issuer's keys cannot be called."""
    if definition.settings.jwks_url:
        try:
            parse_endpoint_url(definition.settings.jwks_url)
        except ValueError as error:
            raise InvalidDefinition("jwks_url", str(error)) from None


@lru_cache(maxsize=16)
def _keys(document: bytes) -> VerificationKeys:
    return read_jwk_set(document)
