"""The source and types that are reserved for the gateway's own lifecycle events."""

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent

SOURCE = "event-gateway"
ROOTS = frozenset(("webhook", "stream", "gateway", "eg"))


def check_reserved(event: Event) -> None:
    """Refuses an event from outside with a reserved source or type.

    Raises InvalidEvent (``reserved``).
    """
    if event.source == SOURCE:
        raise InvalidEvent("reserved", f"the source {SOURCE} is reserved for the gateway")
    if is_reserved(event.type):
        root = event.type.partition(".")[0]
        raise InvalidEvent(
            "reserved", f"types that begin with {root}. are reserved for the gateway"
        )


def is_reserved(event_type: str) -> bool:
    """Whether only the gateway itself may publish events of this type."""
    return event_type.partition(".")[0] in ROOTS or event_type.startswith("$")
