"""The entries of the registry: their keys and their stored form."""

import re
from typing import Any, TypeVar

import msgspec

from event_gateway.core.access.api_key import ApiKey
from event_gateway.core.access.sealing import Sealed
from event_gateway.core.errors import NewerFormat
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.webhook import Webhook

FORMAT = 3  # version of the stored form
# Of a webhook that is orphaned, renamed or waits for the one that it takes over: an earlier version
# would deliver for it as if it were any other.
FORMAT_IN_CHANGE = 4
# Of a stream for compliance: an earlier version that rewrote it would drop its holds and its
# sealed_by, and cannot read its anchors.
FORMAT_COMPLIANCE = 5
NEWEST = FORMAT_COMPLIANCE  # an entry of a newer version is not read

REVOCATIONS = "revoked.tokens"  # the key of the revoked browser tokens

# Characters that a key of the bucket cannot contain, and dots that would make a token empty.
_NOT_IN_KEY = re.compile(rb"[^A-Za-z0-9_.-]|^\.|\.$|(?<=\.)\.")
_ENCODED = re.compile(rb"=([0-9A-F]{2})")

T = TypeVar("T")


class StoredWebhook(msgspec.Struct):
    v: int
    webhook: Webhook


class StoredStream(msgspec.Struct):
    v: int
    stream: StreamDefinition


class StoredSource(msgspec.Struct):
    v: int
    source: SourceDefinition


class StoredSecret(msgspec.Struct):
    v: int
    sealed: Sealed


class StoredKey(msgspec.Struct):
    v: int
    key: ApiKey


class StoredRevocations(msgspec.Struct):
    """Revoked browser tokens: their ids, and until when they would have been valid."""

    v: int
    tokens: dict[str, float]


class StoredType(msgspec.Struct):
    v: int
    event_type: EventType


class StoredLog(msgspec.Struct):
    v: int
    log: KnownLog


class _Version(msgspec.Struct):
    v: int = 0


def stored_webhook(webhook: Webhook) -> StoredWebhook:
    """The entry of a webhook."""
    in_change = webhook.orphaned_at or webhook.renamed_to or webhook.waits_for
    return StoredWebhook(FORMAT_IN_CHANGE if in_change else FORMAT, webhook)


def stored_stream(stream: StreamDefinition) -> StoredStream:
    """The entry of a named stream."""
    return StoredStream(FORMAT_COMPLIANCE if stream.compliance else FORMAT, stream)


def event_type_key(name: str) -> str:
    """The key of an event type, whose name can contain characters that a key cannot."""
    return f"type.{_encoded(name)}"


def log_key(stream: str) -> str:
    """The key of what is known of a JetStream stream."""
    return f"log.{_encoded(stream)}"


def _encoded(name: str) -> str:
    return _NOT_IN_KEY.sub(lambda m: b"=%02X" % m[0][0], name.encode()).decode()


def decoded_name(encoded: str) -> str:
    """The name of an event type or a JetStream stream from its key without the kind."""
    decoded = _ENCODED.sub(lambda m: bytes((int(m[1], 16),)), encoded.encode())
    return decoded.decode(errors="replace")


def decode(key: str, data: bytes, kind: type[T]) -> T:
    """Decodes a stored entry. Raises NewerFormat, and msgspec.DecodeError."""
    version = _decode_version(data).v
    if version > NEWEST:
        raise NewerFormat(f"the registry's entry {key}", version, NEWEST)
    decoder: msgspec.json.Decoder[T] | None = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder.decode(data)


_decode_version = msgspec.json.Decoder(_Version).decode
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}  # one for each kind of entry
