"""HMAC with SHA-256 (RFC 2104) for one key and many short messages."""

import hashlib
from collections.abc import Callable

_BLOCK = 64  # bytes of a block of SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """A function that returns the MAC of a message, 32 bytes.

    The two hashes of HMAC are begun once, and copied for each message. ``hmac`` copies an object of
    its own around OpenSSL's HMAC, which takes twice the time for an id and half as much again for
    an event of 1 KB.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))

    def mac(message: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(message)
        outside.update(inside.digest())
        return outside.digest()

    return mac
