"""The event cache: the last day's events by id, subject and correlation, for enrichment."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.state.records import source_hash
from event_gateway.state.scripts import script

MAX_REMEMBERED = 4096  # characters to be stored of an event; if it has more it is not remembered
MAX_CHAIN = 32
DUPLICATE_WINDOW = 120.0  # seconds in which an event that is published again is a duplicate
MAX_RELATED = 10

_pack = msgspec.msgpack.Encoder().encode
_item = msgspec.json.Encoder().encode


class Context(msgspec.Struct):
    """The events around an event: JSON objects ``{id, source, type, time}``, encoded.

    ``chain``: the events that led to it, root first. ``related``: newest first. ``duplicate_of``:
    the stream and sequence of the event of the same source and id that was routed; None where the
    event is the first, or the former is longer ago than :data:`DUPLICATE_WINDOW`.
    """

    chain: list[bytes]
    related: list[bytes]
    duplicate_of: tuple[str, int] | None = None


class EventCache:
    """Remembers events, and finds the events that are related to an event."""

    def __init__(self, client: Redis) -> None:
        self._remember = script(client, "events/remember.lua")

    async def remember(
        self, events: Sequence[Received], *, keep: bool = True, routes: bool = False
    ) -> list[Context]:
        """Remembers a batch of events (unless ``keep`` is false) and returns the context of each,
        in one round trip. ``routes``: the caller routes them, so that later events of the same
        source and id are duplicates of them.

        Raises the exceptions in StateError.
        """
        request = []
        for received in events:
            event = received.event
            correlation = str(event.extensions.get("correlationid", ""))
            causation = str(event.extensions.get("causationid", ""))
            subject = event.subject or ""
            item = _item(
                {"id": event.id, "source": event.source, "type": event.type, "time": event.time}
            ).decode()  # the server's msgpack knows no binary type
            if len(item) + len(subject) + len(correlation) + len(causation) > MAX_REMEMBERED:
                item = ""
            at = round(received.time * 1e6)
            request.append(
                # The fields of CachedEvent in their order; a plain tuple is the cheapest.
                (
                    event.id, event.source, source_hash(event.source), event.type,
                    event.time or "", subject, correlation, causation,
                    f"{received.stream} {received.seq} {at // 1000}", item, at,
                )
            )  # fmt: skip
        rows, duplicates = await self._remember(
            _pack(request), MAX_CHAIN, MAX_RELATED, 0 if keep else 1, 1 if routes else 0,
            round(DUPLICATE_WINDOW * 1000),
        )  # fmt: skip
        contexts = [Context(chain, related) for chain, related in rows]
        for i in range(0, len(duplicates), 3):
            position, stream, seq = duplicates[i : i + 3]
            contexts[position - 1].duplicate_of = (stream.decode(), seq)
        return contexts
