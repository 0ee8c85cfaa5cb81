"""Seals what the console keeps at its users: AES-256-GCM under a key of the data directory."""

import base64
import json
import os
import secrets
import time
import zlib
from pathlib import Path
from typing import Any

from event_gateway.private_file import write_private

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_PLAIN = 64 * 1024  # bytes of what a sealed text may hold


class Sealer:
    """Seals small objects for a purpose and until a time. A text that was sealed for another
    purpose, under another key, or that was changed, is not opened."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)

    def seal(self, purpose: str, content: dict[str, Any], until: float) -> str:
        """The sealed text of an object. ``until``: seconds since the epoch."""
        plain = zlib.compress(json.dumps([until, content]).encode())
        nonce = secrets.token_bytes(NONCE_BYTES)
        box = nonce + self._cipher.encrypt(nonce, plain, purpose.encode())
        return base64.urlsafe_b64encode(box).rstrip(b"=").decode()

    def open(self, purpose: str, text: str) -> dict[str, Any] | None:
        """The object that was sealed; None if the text is none of ours, or its time is over."""
        from cryptography.exceptions import InvalidTag

        try:
            box = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = self._cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], purpose.encode())
            until, content = json.loads(zlib.decompressobj().decompress(plain, MAX_PLAIN))
        except (ValueError, InvalidTag):
            return None
        return dict(content) if time.time() < until else None


def sealer_in(directory: Path) -> Sealer:
    """The sealer of a directory, whose key is made on first use. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "session.key"
    if not path.exists():
        # Of several processes that begin at once, one makes the key, and all use that.
        proposed = directory / f"session.key.{secrets.token_hex(8)}"
        write_private(proposed, base64.b64encode(os.urandom(KEY_BYTES)).decode())
        try:
            os.link(proposed, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            proposed.replace(path)
        proposed.unlink(missing_ok=True)
    try:
        return Sealer(base64.b64decode(path.read_text(), validate=True))
    except ValueError:
        raise OSError(f"{path} holds no key: delete it, then all users sign in again") from None
