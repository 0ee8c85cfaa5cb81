"""The data of an event, encrypted under the key of the person whom it is about.

It is a JWE in compact form (RFC 7516) with direct encryption and AES-256-GCM, so that any library
for JOSE opens it. Without the key the data is gone; the event, and the chain over it, stay.
"""

import base64
import secrets

import msgspec

from event_gateway.core.access.sealing import NONCE_BYTES, CannotOpen
from event_gateway.core.cloudevents.event import DataKind, Event

CONTENT_TYPE = "application/jose"
EXTENSION = "sealedfor"  # the id of the key
_TAG = 16  # bytes


class _Head(msgspec.Struct, omit_defaults=True):
    alg: str
    enc: str
    kid: str
    cty: str = ""
    kind: int = 0


def seal(event: Event, key_id: str, key: bytes) -> Event:
    """The event with its data encrypted under a key of 32 bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = _encoded(
        msgspec.json.encode(
            _Head("dir", "A256GCM", key_id, event.datacontenttype or "", int(event.kind))
        )
    )
    nonce = secrets.token_bytes(NONCE_BYTES)
    box = AESGCM(key).encrypt(nonce, event.data, head)
    token = b".".join((head, b"", _encoded(nonce), _encoded(box[:-_TAG]), _encoded(box[-_TAG:])))
    return msgspec.structs.replace(
        event, data=token, kind=DataKind.TEXT, datacontenttype=CONTENT_TYPE,
        extensions={**event.extensions, EXTENSION: key_id},
    )  # fmt: skip


def key_id_of(event: Event) -> str | None:
    """The id of the key that opens the event's data; None if it is not sealed."""
    found = event.extensions.get(EXTENSION)
    return found if isinstance(found, str) and event.datacontenttype == CONTENT_TYPE else None


def open_sealed(event: Event, key: bytes) -> Event:
    """The event as it was before :func:`seal`. Raises CannotOpen."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        head, _, nonce, box, tag = event.data.split(b".")
        known = msgspec.json.decode(_decoded(head), type=_Head)
        data = AESGCM(key).decrypt(_decoded(nonce), _decoded(box) + _decoded(tag), head)
        kind = DataKind(known.kind)
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise CannotOpen("the data was sealed with another key") from None
    extensions = {name: value for name, value in event.extensions.items() if name != EXTENSION}
    return msgspec.structs.replace(
        event, data=data, kind=kind, datacontenttype=known.cty or None, extensions=extensions
    )


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
