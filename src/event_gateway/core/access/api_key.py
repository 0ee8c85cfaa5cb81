"""API keys: their form, and what is stored of each.

A key is ``egk_``, its id, ``_``, a secret and a checksum, all of letters and digits:
``egk_[A-Za-z0-9]{12}_[A-Za-z0-9]{38}``, which secret scanners recognise.
"""

import hashlib
import re
import secrets
import string
import zlib

import msgspec

from event_gateway.core.access.principal import Principal
from event_gateway.core.access.request_rates import RequestLimit
from event_gateway.core.access.scope import ADMIN

PREFIX = "egk_"
ADMIN_ID = "admin"  # the id of the key in the data directory
FORM = r"egk_[A-Za-z0-9]{12}_[A-Za-z0-9]{38}"

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 32, 6
ID_IN_VALUE = slice(len(PREFIX), len(PREFIX) + _ID_LENGTH)  # where a value has its id
_matches_form = re.compile(FORM, re.ASCII).fullmatch
_matches_id = re.compile(f"[A-Za-z0-9]{{{_ID_LENGTH}}}", re.ASCII).fullmatch
_begins_as_key = re.compile(f"{PREFIX}([A-Za-z0-9]{{{_ID_LENGTH}}})_", re.ASCII).match


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored. ``hash`` is the SHA-256 of its value, ``former_hash`` that of the
    value before the last rotation, which is valid until ``former_until``. Times are in seconds
    since the epoch; what narrows the scopes is as in a Principal, and so is ``limit``."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    created_at: float
    created_by: str
    expires_at: float | None = None
    rotated_at: float | None = None
    former_hash: bytes = b""
    former_until: float = 0.0
    limit: RequestLimit | None = None

    def principal(self, value_hash: bytes, until: float | None = None) -> Principal:
        """The caller that holds one of the values; ``until``: when that value becomes invalid, if
        it does before the key expires."""
        ends = [time for time in (self.expires_at, until) if time is not None]
        return Principal(
            name=self.name, method="api_key", id=self.id, scopes=frozenset(self.scopes),
            namespaces=self.namespaces, types=self.types, streams=self.streams,
            expires_at=min(ends, default=None), credential=value_hash.hex()[:16],
            limit=self.limit,
        )  # fmt: skip


def new_id() -> str:
    """A random id."""
    return _random(_ID_LENGTH)


def new_value(key_id: str) -> str:
    """A random value of the key with an id."""
    text = f"{PREFIX}{key_id}_{_random(_SECRET_LENGTH)}"
    return text + _checksum(text)


def hash_of(value: str) -> bytes:
    """What is stored of a value. It needs no slow hash, as it is random and long."""
    return hashlib.sha256(value.encode()).digest()


def is_id(text: str) -> bool:
    """Whether a text can be the id of a key."""
    return text == ADMIN_ID or _matches_id(text) is not None


def named_id(credential: str) -> str:
    """The id that a credential begins with as keys do, whether there is such a key or not; empty if
    it begins otherwise."""
    named = _begins_as_key(credential)
    return named[1] if named else ""


def is_made(value: str) -> bool:
    """Whether a value has the form of a key that a gateway has made: its secret cannot be
    guessed."""
    return _matches_form(value) is not None and not is_mistyped(value)


def is_mistyped(value: str) -> bool:
    """Whether a value was meant to be a key, and is none that a gateway has ever made."""
    if _matches_form(value) is None:
        return False
    return value[-_CHECKSUM_LENGTH:] != _checksum(value[:-_CHECKSUM_LENGTH])


def admin_key(value: str) -> ApiKey:
    """The key in the data directory, from its value."""
    return ApiKey(
        id=ADMIN_ID, name=ADMIN_ID, hash=hash_of(value), scopes=(ADMIN,), created_at=0.0,
        created_by="file",
    )  # fmt: skip


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    """The CRC-32 in base 62."""
    left, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        left, digit = divmod(left, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
