"""Enrichment: adds a member ``enrichment`` to an event's data, without parsing the data."""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.text.times import rfc3339
from event_gateway.state.connection import StateError
from event_gateway.state.event_cache import Context, EventCache

log = structlog.get_logger(__name__)

LIVE_WAIT = 0.5  # seconds
LIVE_PAUSE = 10.0  # seconds

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Enricher:
    """Sets ``enriched`` of events. Never fails: without Redis, an enrichment is ``incomplete``."""

    def __init__(self, cache: EventCache, version: str) -> None:
        self._cache = cache
        self._version = version.encode()
        self._reported = False
        self._skip_until = 0.0  # on the monotonic clock

    async def enrich_live(self, batch: Sequence[Received]) -> None:
        """Enriches a batch for live subscribers as :meth:`enrich` does, but waits for Redis at most
        LIVE_WAIT seconds, and then leaves Redis alone for LIVE_PAUSE seconds."""
        contexts: Sequence[Context | None] = [None] * len(batch)
        if time.monotonic() >= self._skip_until:
            try:
                async with asyncio.timeout(LIVE_WAIT):
                    contexts = await self._cache.remember(batch)
            except StateError as error:
                log.debug("live events are not enriched", error=str(error))
                self._skip_until = time.monotonic() + LIVE_PAUSE
        self._set_enriched(batch, contexts)

    async def enrich(
        self, batch: Sequence[Received], *, keep: bool = True, routes: bool = False
    ) -> None:
        """Stores a batch in the event cache (if ``keep``), enriches the events whose data is a JSON
        object, and notes which events are duplicates; in one round trip. ``routes`` is as for
        :meth:`EventCache.remember`."""
        contexts: Sequence[Context | None]
        try:
            contexts = await self._cache.remember(batch, keep=keep, routes=routes)
            self._reported = False
        except StateError as error:
            if not self._reported:
                log.warning("enrichment is incomplete, Redis cannot be reached", error=str(error))
            self._reported = True
            contexts = [None] * len(batch)
        self._set_enriched(batch, contexts)

    def _set_enriched(self, batch: Sequence[Received], contexts: Sequence[Context | None]) -> None:
        now = rfc3339(time.time()).encode()
        for received, context in zip(batch, contexts, strict=True):
            received.enriched = self._enriched(received.event, context, now)
            if context is not None and context.duplicate_of is not None:
                received.duplicate_of = context.duplicate_of

    def _enriched(self, event: Event, context: Context | None, now: bytes) -> Event | None:
        if event.kind is not DataKind.JSON or not is_json_content(event.datacontenttype):
            return None
        chain = b",".join(context.chain) if context else b""
        related = b",".join(context.related) if context else b""
        mark = b"" if context else b',"incomplete":true'
        enrichment = (
            b'{"processed_at":"%b","gateway_version":"%b","correlation_chain":[%b],'
            b'"related_events":[%b]%b}' % (now, self._version, chain, related, mark)
        )
        try:
            data = splice(event.data, enrichment)
        except (msgspec.DecodeError, RecursionError):
            data = None  # such data is passed on unchanged
        if data is None:
            return None
        return Event(
            event.id, event.source, event.type, event.subject, event.time,
            event.datacontenttype, event.dataschema, event.extensions, data, DataKind.JSON,
        )  # fmt: skip


def splice(data: bytes, enrichment: bytes) -> bytes | None:
    """``data`` with a member ``enrichment``; None if the data is not a JSON object.

    A member of that name that the publisher wrote is replaced.
    """
    text = data.strip()
    if text[:1] != b"{":
        return None
    if b'"enrichment"' in text or b"\\u" in text:
        members = _fields.decode(text)
        if "enrichment" in members:
            members["enrichment"] = msgspec.Raw(enrichment)
            return msgspec.json.encode(members)
    head = text[:-1].rstrip()
    comma = b"" if head == b"{" else b","
    return b'%b%b"enrichment":%b}' % (head, comma, enrichment)
