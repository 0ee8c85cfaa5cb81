"""The event cache: the last day's events by id, subject and correlation, for enrichment."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.state.records import source_hash
from event_gateway.state.scripts import script

MAX_REMEMBERED = 4096  # characters to be stored of an event; if it has more it is not remembered
MAX_CHAIN = 32
MAX_RELATED = 10

_pack = msgspec.msgpack.Encoder().encode
_item = msgspec.json.Encoder().encode


class Context(msgspec.Struct, frozen=True):
    """The events around an event: JSON objects ``{id, source, type, time}``, encoded.

    ``chain``: the events that led to it, root first. ``related``: newest first.
    """

    chain: list[bytes]
    related: list[bytes]


class EventCache:
    """Remembers events, and finds the events that are related to an event."""

    def __init__(self, client: Redis) -> None:
        self._remember = script(client, "events/remember.lua")

    async def remember(self, events: Sequence[Received], *, keep: bool = True) -> list[Context]:
        """Remembers a batch of events (unless ``keep`` is false) and returns the context of each,
        in one round trip.

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
            request.append(
                # The fields of CachedEvent in their order; a plain tuple is the cheapest.
                (
                    event.id, event.source, source_hash(event.source), event.type,
                    event.time or "", subject, correlation, causation,
                    received.seq, item, round(received.time * 1e6),
                )
            )  # fmt: skip
        read_only = 0 if keep else 1
        contexts = await self._remember(_pack(request), MAX_CHAIN, MAX_RELATED, read_only)
        return [Context(chain, related) for chain, related in contexts]
