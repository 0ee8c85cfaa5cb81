"""Intake: what is taken in over HTTP, checked, and confirmed by the log before it is answered."""

import asyncio

from event_gateway.broker.event_log import Appended, EventLog
from event_gateway.core.cloudevents.event import Event

MAX_APPENDING = 256  # events of one batch on their way to the log at once


class Intake:
    """Appends checked events to the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def accept(self, events: list[tuple[Event, bytes]]) -> list[Appended]:
        """Appends events (each with its structured form) and gives where the log has them.

        Not atomic: where it fails in the middle the whole can be sent again, and what the log has
        is recognised. Raises LogUnavailable, LogFull, and TooLarge before anything
        is written.
        """
        for _, body in events:
            self._log.check_size(body)
        if len(events) == 1:
            event, body = events[0]
            return [await self._log.append(event.type, event.source, event.id, body)]
        out: list[Appended] = []
        for start in range(0, len(events), MAX_APPENDING):
            out += await asyncio.gather(
                *(
                    self._log.append(event.type, event.source, event.id, body)
                    for event, body in events[start : start + MAX_APPENDING]
                )
            )
        return out
