"""Issuers of tokens: what of a token the gateway believes, and what its claims allow."""

from typing import Any

import msgspec

from event_gateway.core.access.principal import OPERATOR, Principal
from event_gateway.core.access.scope import SCOPES
from event_gateway.core.access.token import TokenRefused, check_claims
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern

EVERYTHING = "*"  # a value of a claim that narrows: the token is not narrowed
MAX_VALUES = 256  # of a claim
MAX_NAME = 128  # characters that are shown of a caller's name
MAX_ID = 256  # characters of a subject
_IDENTITIES = ("sub", "client_id", "azp", "appid")


class ClaimRule(msgspec.Struct, frozen=True):
    """Which claim of a token says what: ``claim`` is its name, or a path with dots; ``values``:
    pairs of a value and what it means, where the values are not names of the gateway."""

    claim: str
    values: tuple[tuple[str, tuple[str, ...]], ...] | None = None


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer. ``name`` is the claim ``iss`` of its tokens, ``audience`` those of their claim
    ``aud`` that are this gateway, ``leeway`` how far the clocks may differ, in seconds.

    The keys come from the discovery document, from ``jwks_url``, from ``key_files``, or are a
    shared secret of the name ``secret_name``. ``keep_keys``: for how many seconds keys are used
    that cannot be fetched again.
    """

    name: str
    audience: frozenset[str]
    algorithms: frozenset[str]
    leeway: float
    scopes: ClaimRule
    caller_name: str
    namespaces: ClaimRule | None = None
    types: ClaimRule | None = None
    streams: ClaimRule | None = None
    jwks_url: str | None = None
    key_files: tuple[str, ...] = ()
    secret_name: str | None = None
    keep_keys: float = 86400.0


class TokenHolder(Principal, frozen=True, kw_only=True):
    """A caller that has shown a token. ``issuer``, and ``key``, the thumbprint of the key that has
    signed the token: the caller is known for as long as the gateway trusts both."""

    issuer: Issuer
    key: str


def token_holder(issuer: Issuer, claims: dict[str, Any], key: str, now: float) -> TokenHolder:
    """Whom a token of this issuer shows, whose signature has been checked with the key of this
    thumbprint. ``now`` in seconds since the epoch. Raises TokenRefused."""
    expires_at = check_claims(claims, audience=issuer.audience, leeway=issuer.leeway, now=now)
    identity = next((claims[name] for name in _IDENTITIES if claims.get(name)), None)
    if not isinstance(identity, str) or len(identity) > MAX_ID or not identity.isprintable():
        raise TokenRefused(f"it does not say of whom it is ({', '.join(_IDENTITIES)})")
    name = _at(claims, issuer.caller_name)
    if not isinstance(name, str) or not name.isprintable() or not name.strip():
        name = identity
    if name == OPERATOR.name:
        name = f"{name} of {issuer.name}"
    scopes = _values(claims, issuer.scopes) or []
    return TokenHolder(
        name=name[:MAX_NAME],
        method="jwt",
        id=f"{issuer.name} {identity}",
        scopes=frozenset(scope for scope in scopes if scope in SCOPES),
        namespaces=_narrowed(claims, issuer.namespaces),
        types=_patterns(_narrowed(claims, issuer.types)),
        streams=_narrowed(claims, issuer.streams),
        expires_at=expires_at,
        issuer=issuer,
        key=key,
    )


def _narrowed(claims: dict[str, Any], rule: ClaimRule | None) -> tuple[str, ...] | None:
    """To what a token narrows its holder; None for nothing. A token without the claim narrows to
    nothing at all: a claim that the issuer forgot must not open everything."""
    if rule is None:
        return None
    values = _values(claims, rule) or []
    return None if EVERYTHING in values else tuple(dict.fromkeys(values))


def _patterns(types: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if types is None:
        return None
    return tuple(pattern for pattern in types if _is_pattern(pattern))


def _is_pattern(pattern: str) -> bool:
    try:
        check_pattern(pattern, "types")
    except InvalidDefinition:
        return False
    return True


def _values(claims: dict[str, Any], rule: ClaimRule) -> list[str] | None:
    """The values of a claim, as the gateway names them; None if the token does not have it."""
    given = _at(claims, rule.claim)
    meanings = None if rule.values is None else dict(rule.values)
    if isinstance(given, str):
        given = [given] if meanings and given in meanings else given.split()
    if not isinstance(given, list):
        return None
    values = [value for value in given if isinstance(value, str) and value]
    if len(values) > MAX_VALUES:
        raise TokenRefused(f"{rule.claim} has more than {MAX_VALUES} values")
    if meanings is None:
        return values
    return [meant for value in values for meant in meanings.get(value, ())]


def _at(claims: Any, path: str) -> Any:
    """A claim by its name, or by a path with dots, whose steps may have dots in them as well
    (https://example.com/roles)."""
    if not isinstance(claims, dict):
        return None
    if path in claims:
        return claims[path]
    for at, character in enumerate(path):
        if character == "." and path[:at] in claims:
            return _at(claims[path[:at]], path[at + 1 :])
    return None
