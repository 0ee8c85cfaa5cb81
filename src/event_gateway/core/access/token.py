"""JSON Web Tokens (RFC 7519), signed (RFC 7515) and in compact form: how they are read and checked
(RFC 8725, RFC 9068).

What a token itself says of keys (``jwk``, ``jku``, ``x5c``, ``x5u``) is ignored: a key is one of
the issuer's, or none.
"""

from typing import Any

import msgspec

from event_gateway.core.access.verification_keys import (
    ALGORITHMS,
    MAX_KID,
    VerificationKey,
    VerificationKeys,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.json_text import MalformedJson, read_json

MAX_LENGTH = 16 * 1024  # characters of a token
MAX_TRIES = 16  # keys that a token without a key id is checked with
MAX_TIME = 2**53  # seconds; larger numbers are no times
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")  # RFC 9068, 2.1
_OTHER_KINDS = frozenset(("id", "refresh", "offline", "logout"))  # the claim typ of Keycloak


class TokenRefused(Exception):
    """A token is not valid. The text is for the log; ``description`` is for the caller, and tells
    nothing that helps to make a better one."""

    def __init__(self, why: str, description: str = "the token is not valid") -> None:
        super().__init__(why)
        self.description = description


class UnknownKey(TokenRefused):
    """The issuer has no key that can have signed the token: it may have a new one."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose signature is not checked yet."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """The claim ``iss``; empty if there is none."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


def looks_like_token(text: str) -> bool:
    """Whether a credential is meant as a token: three parts, of which the first is a JSON object
    in base64url."""
    return text.startswith("eyJ") and text.count(".") == 2


def read_token(text: str) -> Token:
    """The parts of a token. Raises TokenRefused."""
    from joserfc.util import urlsafe_b64decode

    if len(text) > MAX_LENGTH:
        raise TokenRefused(f"it has more than {MAX_LENGTH} characters")
    try:
        parts = text.encode("ascii").split(b".")
        header, payload, signature = map(urlsafe_b64decode, parts)
        protected, claims = read_json(header), read_json(payload)
    except ValueError:
        raise TokenRefused("it is not in base64url") from None
    except (MalformedJson, InvalidDefinition) as error:
        raise TokenRefused(f"its JSON is not valid: {error}") from None
    if not isinstance(protected, dict) or not isinstance(claims, dict):
        raise TokenRefused("its header or its claims are no object")
    if "crit" in protected or "b64" in protected or "enc" in protected:
        raise TokenRefused("its header demands what the gateway does not know (crit, b64, enc)")
    algorithm, kid, kind = (protected.get(name) for name in ("alg", "kid", "typ"))
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused("its algorithm is not allowed")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_KID):
        raise TokenRefused("its key id is not valid")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise TokenRefused("its header says that it is no access token (typ)")
    return Token(
        algorithm=algorithm, kid=kid, claims=claims, signing_input=parts[0] + b"." + parts[1],
        signature=signature,
    )  # fmt: skip


def signer_of(token: Token, keys: VerificationKeys, algorithms: frozenset[str]) -> VerificationKey:
    """The key that has signed a token. Raises TokenRefused, UnknownKey."""
    if token.algorithm not in algorithms:
        raise TokenRefused(f"the algorithm {token.algorithm} is not allowed for its issuer")
    for tried, key in enumerate(keys.candidates(token.kid, token.algorithm)):
        if tried == MAX_TRIES:
            break
        if _signed_by(token, key):
            return key
    if keys.knows(token.kid):
        raise TokenRefused("its signature is wrong")
    raise UnknownKey("its issuer has no key that has signed it")


def _signed_by(token: Token, key: VerificationKey) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    algorithm = JWSRegistry.algorithms[token.algorithm]
    try:
        algorithm.check_key(key.key)
        return algorithm.verify(token.signing_input, token.signature, key.key)
    except (JoseError, ValueError):
        return False


def check_claims(
    claims: dict[str, Any], *, audience: frozenset[str], leeway: float, now: float
) -> float:
    """When the token expires, in seconds since the epoch, ``leeway`` (seconds) included.

    Raises TokenRefused if it is for others, has expired, is not valid yet, or is no access token.
    """
    given = claims.get("aud")
    named = given if isinstance(given, list) else [given]
    if not any(isinstance(name, str) and name in audience for name in named):
        raise TokenRefused("it is for another audience")
    expires = _time(claims, "exp")
    if expires is None:
        raise TokenRefused("it does not say when it expires (exp)")
    if now >= expires + leeway:
        raise TokenRefused("it has expired", "the token has expired")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and now < begins - leeway:
            raise TokenRefused(f"it is not valid yet ({name})", "the token is not valid yet")
    kind = claims.get("typ")
    if "at_hash" in claims or "c_hash" in claims:
        raise TokenRefused("it is an ID token, no access token")
    if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
        raise TokenRefused(f"it is no access token (typ: {kind.lower()})")
    return expires + leeway


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TokenRefused(f"{name} is no number")
    if not -MAX_TIME < value < MAX_TIME:  # also refuses NaN
        raise TokenRefused(f"{name} is no time")
    return float(value)
