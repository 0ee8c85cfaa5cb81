"""``analytics_format``: the event in a form for analytics platforms."""

import msgspec

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.transformation.definition import raw_payload_of
from event_gateway.request.transformations.pending_body import JSON_TYPE, Transformation

VERSION = "2.0.0"
PLATFORM = "arrakis"
_encode = msgspec.json.Encoder().encode


def analytics_of(platform: str = PLATFORM) -> Transformation:
    """The transformation with this ``metadata.platform``."""
    metadata = {"platform": platform, "version": VERSION}

    def analytics_format(event: Event, received_at: float) -> tuple[bytes, bytes]:
        body = {
            "timestamp": event.time,
            "event_type": event.type,
            "source_service": event.source,
            "payload": raw_payload_of(event),
            "metadata": {**metadata, "correlation_id": event.id},
        }
        return JSON_TYPE, _encode(body)

    return analytics_format
