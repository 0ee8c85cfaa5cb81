"""The event cache: the last day's events by id, subject and correlation, and their enrichments.

The enrichment of an event is made once, by the first reader. What is kept of it gives every other
reader the same bytes.
"""

import time
from collections.abc import Collection, Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.text.times import rfc3339_of_ms
from event_gateway.state.event_index import EventIndex
from event_gateway.state.keys import EVENT
from event_gateway.state.records import source_hash
from event_gateway.state.script_arguments import EventReading
from event_gateway.state.scripts import script

MAX_REMEMBERED = 4096  # characters to be stored of an event; if it has more it is not remembered
MAX_CHAIN = 32
DUPLICATE_WINDOW = 120.0  # seconds in which an event that is published again is a duplicate
MAX_RELATED = 10
# Seconds from the time in the log for which readers keep an event.
KEPT = EVENT.ttl_ms / 1000

_pack = msgspec.msgpack.Encoder().encode
_item = msgspec.json.Encoder().encode


class _Item(msgspec.Struct, gc=False):
    """What related events are told of an event. It is encoded faster than a dictionary."""

    id: str
    source: str
    type: str
    time: str | None


class EventContext(msgspec.Struct, gc=False):
    """What the cache knows of an event.

    ``enrichment``: a JSON object; empty where the event takes none or is unwanted, or where
    :meth:`EventCache.peek` finds none. ``duplicate_of``: the stream and sequence of the event of
    the same source and id that was routed; None where the event is the first, or the former is
    longer ago than :data:`DUPLICATE_WINDOW`.
    """

    enrichment: bytes
    duplicate_of: tuple[str, int] | None = None


class EventCache:
    """Remembers events with their enrichments. ``version``: the gateway's. ``copies``: streams in
    which an event has another sequence and time than in the log, and does not tell them. ``index``
    gets the events that are routed, in the same call."""

    def __init__(
        self, client: Redis, version: str, copies: Collection[str] = (), *, index: EventIndex
    ) -> None:
        self._remember = script(client, "events/remember.lua")
        self._index = index
        self._version = version
        self._copies = frozenset(copies)

    async def remember(
        self, events: Sequence[Received], *, routes: bool = False
    ) -> list[EventContext]:
        """Remembers a batch of events, makes the enrichment of those that have none, and returns
        the context of each, in one round trip. Events that are older than :data:`KEPT` and are not
        in the cache get an incomplete enrichment, which is not kept.

        ``routes``: the caller routes them: events of any age are kept, and later events of the same
        source and id are duplicates of them. Raises the exceptions in StateError.
        """
        if routes:
            readings = [
                EventReading.NOTE if received.unwanted else EventReading.KEEP for received in events
            ]
        else:
            oldest = time.time() - KEPT
            readings = [
                EventReading.KEEP
                if received.time >= oldest and received.stream not in self._copies
                else EventReading.LATE
                for received in events
            ]
        return await self._contexts(events, readings, routes=routes)

    async def peek(self, events: Sequence[Received]) -> list[EventContext]:
        """The contexts of events as far as there are any; changes nothing. Raises the exceptions in
        StateError."""
        return await self._contexts(events, [EventReading.PEEK] * len(events))

    async def preview(self, event: Received) -> EventContext:
        """The context of an event, whether the log holds it or not; keeps nothing. Raises the
        exceptions in StateError."""
        return (await self._contexts([event], [EventReading.PREVIEW]))[0]

    async def _contexts(
        self,
        events: Sequence[Received],
        readings: Sequence[EventReading],
        *,
        routes: bool = False,
    ) -> list[EventContext]:
        request = []
        for received, reading in zip(events, readings, strict=True):
            event = received.event
            correlation = causation = ""
            if event.extensions:
                correlation = str(event.extensions.get("correlationid", ""))
                causation = str(event.extensions.get("causationid", ""))
            subject = event.subject or ""
            # Decoded, as the server's msgpack knows no binary type.
            item = _item(_Item(event.id, event.source, event.type, event.time)).decode()
            if len(item) + len(subject) + len(correlation) + len(causation) > MAX_REMEMBERED:
                item = ""
            at = round(received.time * 1e6)
            millis = int(received.time * 1000)  # now and then 1 less than in the position
            has_position = (
                reading is not EventReading.PREVIEW and received.stream not in self._copies
            )
            request.append(
                # The fields of CachedEvent in their order; a plain tuple is the cheapest.
                (
                    event.id, event.source, source_hash(event.source), subject, correlation,
                    causation,
                    f"{received.stream} {received.seq} {at // 1000}" if has_position else "",
                    item, at, reading, rfc3339_of_ms(millis) if takes_enrichment(event) else "",
                    has_position and millis == at // 1000,
                )
            )  # fmt: skip
        texts, duplicates = await self._remember(
            _pack(request), MAX_CHAIN, MAX_RELATED, 1 if routes else 0,
            round(DUPLICATE_WINDOW * 1000), self._version, round(time.time() * 1000),
            *(self._index.arguments(events) if routes else ()),
        )  # fmt: skip
        contexts = [EventContext(text) for text in texts]
        for i in range(0, len(duplicates), 3):
            number, stream, seq = duplicates[i : i + 3]
            contexts[number - 1].duplicate_of = (stream.decode(), seq)
        return contexts


def takes_enrichment(event: Event) -> bool:
    """Whether the data of an event is a JSON object, as far as its first character tells."""
    data = event.data
    return (
        event.kind is DataKind.JSON
        and (data[:1] == b"{" or data.lstrip()[:1] == b"{")
        and is_json_content(event.datacontenttype)
    )
