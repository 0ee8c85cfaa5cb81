"""``standard``: the CloudEvent in the JSON format."""

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.media_types import STRUCTURED

_CONTENT_TYPE = STRUCTURED.encode()


def standard(event: Event, received_at: float) -> tuple[bytes, bytes]:
    """Content type and body."""
    return _CONTENT_TYPE, to_structured(event)
