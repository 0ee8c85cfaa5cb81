"""The hash chain of a compliance stream: what is hashed, byte by byte.

A message has a digest, and a record of the chain has a link that covers the digests of some
messages and the link of the record before it. Numbers are unsigned and big-endian.

    digest = SHA-256( sequence (8 bytes) | time in ns since 1970 (8) | length of the subject (4)
                      | length of the headers (4) | length of the payload (4)
                      | subject | headers | payload )
    link   = SHA-256( link of the record before (32) | first sequence (8) | messages (4)
                      | the digests of the messages, one after the other (32 each) )

The headers are the block as NATS stores it, from ``NATS/1.0`` to the empty line; nothing if the
message has none. Before the first record stands SHA-256("event-gateway chain 1\\n" | name).
"""

import hashlib
import struct
from typing import Annotated

import msgspec

DIGEST = 32  # bytes
MESSAGE = struct.Struct(">QQIII")  # what is hashed before subject, headers and payload
_LINK = struct.Struct(">QI")
_sha256 = hashlib.sha256
_pack = MESSAGE.pack


class StoredMessage(msgspec.Struct, gc=False):
    """A message as NATS stores it. ``time``: when, in nanoseconds since the epoch. ``position``:
    its number among those that its consumer has got, from 1; 0 if it did not come from one."""

    seq: int
    time: int
    subject: bytes
    headers: bytes
    data: bytes
    position: int = 0


class ChainRecord(msgspec.Struct, frozen=True, gc=False, tag="record"):
    """A record covers the messages ``first`` to ``last`` without a hole. ``previous`` and ``link``
    in hexadecimal; ``digests``: 32 bytes for each message (base64 in JSON)."""

    first: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    last: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    previous: str
    link: str
    digests: bytes

    @property
    def true_link(self) -> str:
        """The link that follows from the other members. Raises ValueError for a malformed one."""
        count = self.last - self.first + 1
        if count < 1 or len(self.digests) != DIGEST * count:
            raise ValueError("the record has not one digest for each message")
        return link(bytes.fromhex(self.previous), self.first, self.digests).hex()


def stored_size(message: StoredMessage) -> int:
    """The bytes that JetStream counts for a message against ``max_bytes`` (its file store: 30 for
    lengths, sequence, time and checksum, and 4 for the length of headers)."""
    return size_of(len(message.subject), len(message.headers), len(message.data))


def size_of(subject: int, headers: int, data: int) -> int:
    """As :func:`stored_size`, by the sizes of a message's parts."""
    size = 30 + subject + data
    return size + 4 + headers if headers else size


def hashed(message: StoredMessage) -> bytes:
    """What the digest of a message covers."""
    subject, headers, data = message.subject, message.headers, message.data
    head = _pack(message.seq, message.time, len(subject), len(headers), len(data))
    return b"".join((head, subject, headers, data))


def digest(message: StoredMessage) -> bytes:
    """The digest of a message."""
    return _sha256(hashed(message)).digest()


def link(previous: bytes, first: int, digests: bytes) -> bytes:
    """The link of a record behind another: over at least one digest."""
    return _sha256(previous + _LINK.pack(first, len(digests) // DIGEST) + digests).digest()


def genesis(stream: str) -> bytes:
    """What stands in the place of a link before the first record of a stream's chain."""
    return _sha256(b"event-gateway chain 1\n" + stream.encode()).digest()
