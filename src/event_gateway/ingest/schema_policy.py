"""What becomes of events whose data does not match their schema, as the configuration says."""

import time

from event_gateway.core.schema.event_type import EventType


class SchemaPolicy:
    """``enforce`` (``off``, ``warn`` or ``reject``) holds for event types that do not set it
    themselves. If ``strict``, it holds for event types that are not registered, too. ``since`` is
    when this process began to apply both, in seconds since the epoch."""

    def __init__(self, *, enforce: str, strict: bool) -> None:
        self.enforce = enforce
        self.strict = strict
        self.since = time.time()

    def configure(self, *, enforce: str, strict: bool) -> None:
        """Applies a changed configuration."""
        if (enforce, strict) != (self.enforce, self.strict):
            self.enforce, self.strict, self.since = enforce, strict, time.time()

    def of(self, event_type: EventType) -> str:
        """``off``, ``warn`` or ``reject``, for events of that type."""
        return event_type.enforce or self.enforce
