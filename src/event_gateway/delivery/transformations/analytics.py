"""``analytics_format``: what analytics platforms take in."""

import base64

import msgspec

from event_gateway.core.event import DataKind, Event

_encode = msgspec.json.Encoder().encode
_METADATA = {"platform": "arrakis", "version": "2.0.0"}


def analytics_format(event: Event) -> tuple[bytes, bytes]:
    """Content type and body. The payload's own bytes go in as they are."""
    payload: object = None
    if event.kind is DataKind.JSON:
        payload = msgspec.Raw(event.data)
    elif event.kind is DataKind.TEXT:
        payload = event.data.decode()
    elif event.kind is DataKind.BINARY:
        payload = base64.b64encode(event.data).decode()
    body = {
        "timestamp": event.time,
        "event_type": event.type,
        "source_service": event.source,
        "payload": payload,
        "metadata": {**_METADATA, "correlation_id": event.id},
    }
    return b"application/json", _encode(body)
