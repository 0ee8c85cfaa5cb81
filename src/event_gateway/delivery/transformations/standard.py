"""``standard``: the CloudEvent itself, in the JSON format."""

from event_gateway.core.event import Event
from event_gateway.core.formats import STRUCTURED, to_structured


def standard(event: Event) -> tuple[bytes, bytes]:
    """Content type and body."""
    return STRUCTURED.encode(), to_structured(event)
