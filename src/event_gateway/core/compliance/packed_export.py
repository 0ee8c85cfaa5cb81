"""An export in a compact form, for a reader that verifies it at once: messages stand in it as they
are hashed, so that no side encodes, decodes and joins them.

It is made of pieces, each behind its length (4 bytes, big-endian). A piece begins with a letter:
``L`` is a line of the export (:mod:`.export`), ``M`` some messages one after the other, each as
:func:`.chain.hashed` has it.
"""

import struct
from collections.abc import Iterator, Sequence

from event_gateway.core.compliance.chain import StoredMessage, hashed

MEDIA_TYPE = "application/vnd.event-gateway.export"
LINE, MESSAGES = b"L", b"M"
MAX_PIECE = 256 * 1024 * 1024  # bytes; NATS has no message of over 64 MiB
_LENGTH = struct.Struct(">I")


class PieceTooLarge(ValueError):
    """No gateway writes such a piece."""


def packed_line(line: bytes) -> bytes:
    """A line of the export, as a piece behind its length."""
    return _LENGTH.pack(len(line) + 1) + LINE + line


def packed_messages(messages: Sequence[StoredMessage]) -> bytes:
    """Messages, as a piece behind its length."""
    parts = [b"", MESSAGES, *map(hashed, messages)]
    parts[0] = _LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


class Pieces:
    """Takes an export as it arrives, in blocks of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def add(self, block: bytes) -> Iterator[bytes]:
        """The pieces that are complete now, each from its letter on. Raises PieceTooLarge."""
        rest, at = self._rest, 0
        rest += block
        while len(rest) >= (begin := at + _LENGTH.size):
            size = _LENGTH.unpack_from(rest, at)[0]
            if size > MAX_PIECE:
                raise PieceTooLarge(f"it has a piece of {size:,} bytes")
            end = begin + size
            if len(rest) < end:
                break
            yield bytes(rest[begin:end])
            at = end
        del rest[:at]
