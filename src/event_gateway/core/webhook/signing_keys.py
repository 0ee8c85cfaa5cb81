"""Signing keys of Standard Webhooks 1.0: they make signatures, and check them.

A key ``whsec_…``, or one without a prefix, signs with HMAC-SHA256 (``v1``). A key ``whsk_…`` signs
with ed25519 (``v1a``); its public key (``whpk_…``) is no secret.
"""

import base64
import hmac
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from event_gateway.core.webhook.hmac_sha256 import hmac_sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SHARED, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
MAX_KEYS = 5  # that sign one request
SEED = 32  # bytes of an ed25519 key, which its public part may follow
SHORTEST, LONGEST = 24, 64  # bytes of a shared key (Standard Webhooks 1.0, "Signature scheme")


def split_keys(secrets: tuple[str, ...]) -> list[str]:
    """The signing keys, the current one first. Raises ValueError where there are too many."""
    keys = list(dict.fromkeys(key for secret in secrets for key in secret.split()))
    if len(keys) > MAX_KEYS:
        raise ValueError(f"it contains more than {MAX_KEYS} signing keys")
    return keys


def check_keys(value: object) -> None:
    """Raises ValueError if a value is not one or more signing keys."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a signing key in base64 is required")
    signers((value,))


def signers(secrets: tuple[str, ...]) -> list[Callable[[bytes], bytes]]:
    """What makes the signatures with all keys in some secrets. Raises ValueError where one of them
    is not a signing key, or where there are too many."""
    return [signer(key) for key in split_keys(secrets)]


def is_signing_key(value: str) -> bool:
    """Whether a secret is meant as a signing key, by its prefix."""
    return value.lstrip().startswith((SHARED, PRIVATE))


def public_key(key: str) -> bytes | None:
    """The 32 bytes of a private key's public part; None for a shared key.

    Raises ValueError if it is not a key.
    """
    if not key.startswith(PRIVATE):
        return None
    return _private(key).public_key().public_bytes_raw()


def signer(key: str) -> Callable[[bytes], bytes]:
    """A function that signs a content with this key. Raises ValueError if it is no signing key."""
    if key.startswith(PRIVATE):
        private = _private(key)
        return lambda content: b"v1a," + base64.b64encode(private.sign(content))
    if key.startswith(PUBLIC):
        raise ValueError("it is a public key; the private one (whsk_…) signs")
    raw = _decoded(key.removeprefix(SHARED))
    if not SHORTEST <= len(raw) <= LONGEST:
        raise ValueError(
            f"a signing secret has {SHORTEST} to {LONGEST} bytes, written as base64; this one has "
            f"{len(raw)}"
        )
    mac = hmac_sha256(raw)

    def sign(content: bytes) -> bytes:
        return b"v1," + b2a_base64(mac(content), newline=False)

    return sign


class Checker:
    """Checks the signatures of a key. ``version``: of its signatures, ``v1`` or ``v1a``."""

    def __init__(self, version: str, has_made: Callable[[bytes, Sequence[bytes]], bool]) -> None:
        """``has_made``: whether one of some signatures, as they stand after their comma, is that
        of a content."""
        self.version = version
        self.has_made = has_made


def checker(key: str) -> Checker:
    """What checks the signatures of a signing key, or of a public key (``whpk_…``).

    Raises ValueError if it is neither.
    """
    if not key.startswith((PRIVATE, PUBLIC)):
        sign = signer(key)

        def has_made(content: bytes, signatures: Sequence[bytes]) -> bool:
            expected = sign(content).removeprefix(b"v1,")
            return any(hmac.compare_digest(expected, given) for given in signatures)

        return Checker("v1", has_made)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(public_key(key) or _public(key))

    def verifies(content: bytes, signatures: Sequence[bytes]) -> bool:
        return any(_verifies(public, content, given) for given in signatures)

    return Checker("v1a", verifies)


def _verifies(public: "Ed25519PublicKey", content: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public(key: str) -> bytes:
    raw = _decoded(key.removeprefix(PUBLIC))
    if len(raw) != SEED:
        raise ValueError("a public signing key (whpk_…) has 32 bytes")
    return raw


def _private(key: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    raw = _decoded(key.removeprefix(PRIVATE))
    if len(raw) not in (SEED, 2 * SEED):
        raise ValueError("a private signing key (whsk_…) has 32 bytes, or 64 with its public part")
    private = Ed25519PrivateKey.from_private_bytes(raw[:SEED])
    public = raw[SEED:]
    if public and private.public_key() != Ed25519PublicKey.from_public_bytes(public):
        raise ValueError("the private signing key does not match the public part after it")
    return private


def _decoded(text: str) -> bytes:
    try:
        # Padding may be left out; where some is there, it must be right.
        padding = "" if "=" in text else "=" * (-len(text) % 4)
        return base64.b64decode(text + padding, validate=True)
    except ValueError:  # also raised for text that is not ASCII
        raise ValueError("a signing secret is base64, with or without whsec_ before it") from None
