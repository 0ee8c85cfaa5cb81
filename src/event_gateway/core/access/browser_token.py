"""Short-lived tokens for browsers: what they open and until when, under an HMAC (RFC 2104)."""

import base64
import hashlib
import hmac
import re
import secrets

import msgspec

from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import STREAMS_READ

PREFIX = "egt_"
MAX_LENGTH = 8192
_encode = msgspec.json.Encoder().encode
_is_id = re.compile(r"tok_[0-9a-f]{16}", re.ASCII).fullmatch


class InvalidToken(Exception):
    """The token is not one of this gateway, or has expired; the text says which. ``signed``:
    whether this gateway has made it."""

    def __init__(self, detail: str, *, signed: bool = False) -> None:
        super().__init__(detail)
        self.signed = signed


class BrowserToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. ``name``: the user of the token; ``issuer``: the identity of the key that
    issued it (``method:id``), and ``issuer_name`` its name; ``until`` in seconds since the epoch;
    the other members as in a Principal."""

    id: str
    name: str
    issuer: str
    issuer_name: str
    streams: tuple[str, ...]
    subjects: tuple[str, ...]
    namespaces: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    until: float

    def principal(self) -> Principal:
        """The holder of the token."""
        return Principal(
            name=self.name, method="browser_token", id=self.id, issued_by=self.issuer,
            scopes=frozenset((STREAMS_READ,)), streams=self.streams, subjects=self.subjects,
            namespaces=self.namespaces, types=self.types, expires_at=self.until,
        )  # fmt: skip


_decode = msgspec.json.Decoder(BrowserToken).decode


def new_id() -> str:
    """A random id."""
    return f"tok_{secrets.token_hex(8)}"


def is_id(text: str) -> bool:
    """Whether a text can be the id of a token."""
    return _is_id(text) is not None


def signing_key(installation_key: bytes) -> bytes:
    """The key that signs tokens, derived from the key of the installation. Processes of a version
    that knows fewer limits of tokens have another one, and refuse these tokens."""
    return hmac.digest(installation_key, b"browser tokens 2", "sha256")


def issue(key: bytes, token: BrowserToken) -> str:
    """The text of a token."""
    claims = _encode(token)
    return f"{PREFIX}{_text(claims)}.{_text(hmac.digest(key, claims, hashlib.sha256))}"


def read(key: bytes, token: str, now: float) -> BrowserToken:
    """What a token says; ``now`` in seconds since the epoch. Raises InvalidToken."""
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
        raise InvalidToken("the token has expired", signed=True)
    return content


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
