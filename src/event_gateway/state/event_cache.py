"""The event cache: the last day's events by id, subject and correlation, for enrichment."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.state.records import source_hash
from event_gateway.state.scripts import script

TTL = 86400.0  # seconds
MAX_REMEMBERED = 4096  # characters of what is kept of an event; of a longer one nothing is
MAX_CHAIN = 32
MAX_RELATED = 10

_pack = msgspec.msgpack.Encoder().encode
_item = msgspec.json.Encoder().encode


class Context(msgspec.Struct, frozen=True):
    """What is known around an event: JSON objects ``{id, source, type, time}``, ready encoded.

    ``chain``: the events that led to it, root first. ``related``: newest first.
    """

    chain: list[bytes]
    related: list[bytes]


class EventCache:
    """Remembers events and tells what belongs together."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._prefix = prefix
        self._enrich = script(client, "enrich.lua")

    async def remember(self, events: Sequence[Received], *, keep: bool = True) -> list[Context]:
        """Remembers a batch (unless not to ``keep`` it) and gives the context of each, in one round
        trip.

        Raises what StateError names.
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
                (
                    event.id, event.source, source_hash(event.source), event.type,
                    event.time or "", subject, correlation, causation,
                    received.seq, item, round(received.time * 1e6),
                )
            )  # fmt: skip
        answers = await self._enrich(
            keys=[self._prefix],
            args=[_pack(request), round(TTL * 1000), MAX_CHAIN, MAX_RELATED, 0 if keep else 1],
        )
        return [Context(chain, related) for chain, related in answers]
