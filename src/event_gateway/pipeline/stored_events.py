"""Reads stored events again, as they are to be delivered: enriched."""

from collections.abc import Sequence

from event_gateway.broker.event_reader import EventReader
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.reserved_types import SOURCE
from event_gateway.pipeline.decoding import Enrich
from event_gateway.state.connection import StateError


class NotEnriched(Exception):
    """The enrichment of an event cannot be read now."""


class StoredEvents:
    """Events by position, from the cache of recent events or from NATS."""

    def __init__(self, reader: EventReader, enrich: Enrich) -> None:
        self._reader = reader
        self._enrich = enrich

    async def load(self, positions: Sequence[tuple[str, int]]) -> list[Received | Exception | None]:
        """The events at positions (stream and sequence), in their order: None where there is none
        any more, an exception where it cannot be read (NotEnriched: or enriched) now.

        Events that were not in the cache are enriched and put into it.
        """
        read = await self._reader.read_many(positions)
        new = [event for event, cached in read if isinstance(event, Received) and not cached]
        # Lifecycle events are not enriched; a dead letter of one is known by its source.
        enrichable = [received for received in new if received.event.source != SOURCE]
        if enrichable:
            try:
                await self._enrich(enrichable)
            except StateError as error:
                failed = NotEnriched(str(error))
                return [
                    failed if isinstance(event, Received) and not cached else event
                    for event, cached in read
                ]
        for event in new:
            self._reader.cache(event)
        return [event for event, _ in read]
