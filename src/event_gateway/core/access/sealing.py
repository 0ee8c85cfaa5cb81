"""Sealing: AES-256-GCM (NIST SP 800-38D) under keys that are stored apart from the secrets.

The name of a secret is authenticated with it, so that secrets cannot be swapped.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_KEYS = 8
MAX_NAMED = 100  # of what no key opens, when all is sealed again


class Sealed(msgspec.Struct, frozen=True):
    """A sealed secret. ``key_id`` names the key that opens it; ``updated_at`` is when its value was
    last set, in seconds since the epoch. ``namespaces``: those that may use it; empty: only the
    operators."""

    key_id: str
    nonce: bytes
    box: bytes
    updated_at: float = 0.0
    namespaces: tuple[str, ...] = ()


class CannotSeal(Exception):
    """A sealing key is missing or malformed; the text says what to do."""


class CannotOpen(Exception):
    """The key of a secret is not configured, or the secret was tampered with."""


@dataclass(slots=True)
class Resealed:
    """What was sealed again with the first key: how many; and what no key opens, which stays as it
    is: how many, and of MAX_NAMED of them the name with the reason."""

    sealed: int = 0
    unreadable_count: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    def leave(self, name: str, reason: str) -> None:
        """Counts one that no key opens."""
        self.unreadable_count += 1
        if len(self.unreadable) < MAX_NAMED:
            self.unreadable[name] = reason


class SealingKeys:
    """The sealing keys: the first key seals; every key opens."""

    def __init__(self, text: str) -> None:
        """Base64 keys of 32 bytes, separated by white space. Raises CannotSeal."""
        keys = text.split()
        if not 1 <= len(keys) <= MAX_KEYS:
            raise CannotSeal(f"there must be 1 to {MAX_KEYS} sealing keys")
        self._keys: dict[str, bytes] = {}
        for key in keys:
            try:
                raw = base64.b64decode(key, validate=True)
            except ValueError:  # also raised for text that is not ASCII
                raw = b""
            if len(raw) != KEY_BYTES:
                raise CannotSeal("a sealing key is base64 of 32 bytes (openssl rand -base64 32)")
            self._keys[hashlib.sha256(raw).hexdigest()[:16]] = raw

    @property
    def first(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys))

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._keys)

    def seal(
        self, name: str, content: bytes, updated_at: float, namespaces: tuple[str, ...] = ()
    ) -> Sealed:
        """Seals the content of a secret."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        box = _cipher(self._keys[self.first]).encrypt(nonce, content, name.encode())
        return Sealed(self.first, nonce, box, updated_at, namespaces)

    def open(self, name: str, sealed: Sealed) -> bytes:
        """The content of a sealed secret. Raises CannotOpen."""
        from cryptography.exceptions import InvalidTag

        key = self._keys.get(sealed.key_id)
        if key is None:
            raise CannotOpen(
                f"{name} was sealed with the key {sealed.key_id}, which is not configured"
            )
        try:
            return _cipher(key).decrypt(sealed.nonce, sealed.box, name.encode())
        except InvalidTag:
            raise CannotOpen(f"{name} was changed since it was sealed") from None


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def new_key() -> str:
    """A new random key, as text."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
