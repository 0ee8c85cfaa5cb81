"""Short-lived tokens for browsers: principal, streams and expiry, under an HMAC (RFC 2104)."""

import base64
import hashlib
import hmac

import msgspec

from event_gateway.core.access.principal import Principal, subscriber

PREFIX = "egt_"
MAX_LENGTH = 8192
_encode = msgspec.json.Encoder().encode


class InvalidToken(Exception):
    """The token is not one of this gateway, or has expired; the text says which."""


class _Claims(msgspec.Struct):
    name: str
    streams: tuple[str, ...]
    subjects: tuple[str, ...]
    until: float


_decode = msgspec.json.Decoder(_Claims).decode


def signing_key(installation_key: bytes) -> bytes:
    """The key that signs tokens, derived from the key of the installation."""
    return hmac.digest(installation_key, b"browser tokens", "sha256")


def issue(key: bytes, principal: Principal, until: float) -> str:
    """A token for a narrowed principal; ``until`` in seconds since the epoch."""
    claims = _encode(_Claims(principal.name, principal.streams or (), principal.subjects, until))
    return f"{PREFIX}{_text(claims)}.{_text(hmac.digest(key, claims, hashlib.sha256))}"


def read(key: bytes, token: str, now: float) -> Principal:
    """The principal of a token; ``now`` in seconds since the epoch. Raises InvalidToken."""
    body, _, mac = token.removeprefix(PREFIX).partition(".")
    try:
        if len(token) > MAX_LENGTH or not token.startswith(PREFIX):
            raise ValueError
        claims, given = _bytes(body), _bytes(mac)
    except ValueError:
        raise InvalidToken("this is not a token") from None
    if not hmac.compare_digest(given, hmac.digest(key, claims, hashlib.sha256)):
        raise InvalidToken("the token was not made by this gateway")
    try:
        content = _decode(claims)
    except msgspec.DecodeError:
        raise InvalidToken("the token was made by another version of the gateway") from None
    if content.until <= now:
        raise InvalidToken("the token has expired")
    return subscriber(content.name, content.streams, content.subjects, content.until)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
