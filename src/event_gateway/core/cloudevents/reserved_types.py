"""The source and the types of the gateway's own lifecycle events, refused from outside."""

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent

SOURCE = "event-gateway"
ROOTS = frozenset(("webhook", "stream", "gateway", "eg"))


def check_reserved(event: Event) -> None:
    """Refuses an event from outside that looks like one of the gateway's own.

    Raises InvalidEvent (``reserved``).
    """
    if event.source == SOURCE:
        raise InvalidEvent("reserved", f"the source {SOURCE} is the gateway's own")
    if is_reserved(event.type):
        root = event.type.partition(".")[0]
        raise InvalidEvent("reserved", f"types that begin with {root}. are the gateway's own")


def is_reserved(event_type: str) -> bool:
    """Whether a type is one that only the gateway itself may publish."""
    return event_type.partition(".")[0] in ROOTS or event_type.startswith("$")
