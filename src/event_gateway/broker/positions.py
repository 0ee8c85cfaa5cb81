"""Copies of the positions of ordered webhooks, which outlive the loss of Redis.

The position that counts is in Redis, beside the records, and is written ten times a second. Its
copy is in a key-value bucket of NATS, written once a second while the position moves: after a loss
of Redis, an ordered webhook goes on from there, and not from its registration.
"""

import re

import msgspec
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from event_gateway.broker.buckets import opened_bucket
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.core.streams.known_log import KnownLog

BUCKET = "GATEWAY_POSITIONS"
FORMAT = 1  # of an entry; those of a newer one are left alone

_AS_IT_IS = re.compile(r"[-_A-Za-z0-9]+")  # stream names that may stand in a key


class _Entry(msgspec.Struct):
    """``created``: when the stream was created. One that was deleted and created again counts its
    messages from 1 again: the position says nothing of it. ``reset_at``: when its sequences had
    gone back the last time (0: never)."""

    v: int
    seq: int
    created: str
    reset_at: float = 0.0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Entry).decode


class PositionCopies:
    """Copies of positions, by webhook and stream. Methods raise what BrokerError names."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._bucket: KeyValue | None = None

    async def read(self, webhook_id: str, stream: str, log: KnownLog) -> int:
        """The copied position as it counts in ``log``, which is what is known of the stream; 0
        where there is none."""
        try:
            entry = await (await self._opened()).get(_key(webhook_id, stream))
        except KeyNotFoundError:
            return 0
        except BrokerError:
            self._bucket = None  # it may have been deleted: the next call creates it again
            raise
        position = _decode(entry.value or b"")
        is_of_log = position.v <= FORMAT and position.created == log.created
        return log.lowered(position.seq, position.reset_at) if is_of_log else 0

    async def write(self, webhook_id: str, stream: str, seq: int, log: KnownLog) -> None:
        """Stores a position in ``log``."""
        entry = _Entry(FORMAT, seq, log.created, log.reset_at)
        try:
            await (await self._opened()).put(_key(webhook_id, stream), _encode(entry))
        except BrokerError:
            self._bucket = None
            raise

    async def forget(self, webhook_id: str, stream: str) -> None:
        """Deletes a position of a webhook that is deleted."""
        await (await self._opened()).purge(_key(webhook_id, stream))

    async def _opened(self) -> KeyValue:
        """The bucket, which is created when the first ordered webhook needs it."""
        if self._bucket is None:
            self._bucket = await opened_bucket(self._broker, BUCKET)
        return self._bucket


def _key(webhook_id: str, stream: str) -> str:
    name = stream if _AS_IT_IS.fullmatch(stream) else f"={stream.encode().hex()}"
    return f"{webhook_id}.{name}"
