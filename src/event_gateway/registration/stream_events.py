"""The lifecycle events of changes of named streams."""

from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.units import format_duration
from event_gateway.observability.lifecycle import Lifecycle


def publish_change(lifecycle: Lifecycle, what: str, definition: StreamDefinition) -> None:
    """Publishes that a stream was created, updated or deleted, which is ``what``."""
    retention = definition.retention
    lifecycle.stream(what, definition.name, {
        "subjects": definition.subjects,
        "retention": None if retention is None else format_duration(retention),
        "max_messages": definition.max_messages,
    })  # fmt: skip
