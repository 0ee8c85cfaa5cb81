"""The source and types that are reserved for the gateway's own lifecycle events."""

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent

SOURCE = "event-gateway"
LIFECYCLE_ROOTS = ("webhook", "stream", "gateway")
ROOTS = frozenset((*LIFECYCLE_ROOTS, "eg"))
_RESERVED = (*ROOTS, "$")


def check_reserved(event: Event) -> None:
    """Refuses an event from outside with a reserved source or type.

    Raises InvalidEvent (``reserved``).
    """
    if event.source == SOURCE:
        raise InvalidEvent("reserved", f"the source {SOURCE} is reserved for the gateway")
    if event.type.startswith(_RESERVED) and is_reserved(event.type):  # hardly any begins so
        root = event.type.partition(".")[0]
        raise InvalidEvent(
            "reserved", f"types that begin with {root}. are reserved for the gateway"
        )


def is_lifecycle(name: str) -> bool:
    """Whether an event type, or a pattern of types, begins with a token of lifecycle events. No
    pattern that begins with a wildcard does."""
    return name.partition(".")[0] in LIFECYCLE_ROOTS


def check_lifecycle(event: Event, subject: str) -> None:
    """Refuses a message on a NATS subject of lifecycle events that the gateway has not made: a
    service published it there. Raises InvalidEvent (``reserved``)."""
    if event.source != SOURCE or event.type != subject:
        raise InvalidEvent(
            "reserved", f"the subject {subject} is reserved for lifecycle events of the gateway"
        )


def is_reserved(event_type: str) -> bool:
    """Whether only the gateway itself may publish events of this type."""
    return event_type.partition(".")[0] in ROOTS or event_type.startswith("$")
