"""Enrichment: adds a member ``enrichment`` to an event's data, without parsing the data.

The event cache makes the enrichment of an event once. All readers of the event get the same, so
that a retry, a replay and a live subscriber see the bytes of the first attempt.
"""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog
from redis.exceptions import ResponseError

from event_gateway.core.cloudevents.enrichment import splice
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.text.times import rfc3339
from event_gateway.state.condition import refuses_one_command
from event_gateway.state.connection import StateError
from event_gateway.state.event_cache import EventCache, EventContext, takes_enrichment

log = structlog.get_logger(__name__)

AGAIN = 0.25  # seconds until Redis is asked again
REFUSED = 5.0  # seconds for which a refusal by Redis is not taken as its answer
LIVE_WAIT = 0.5  # seconds
LIVE_PAUSE = 10.0  # seconds
FRESH = 2.0  # seconds for which an event may be waiting for the router
# Seconds that the router has to be the first reader of an event, with a look before each.
HEAD_START = (0.002, 0.004, 0.014)

_BEGIN = b'{"processed_at":"'


class Enricher:
    """Sets ``enriched`` of events. ``version`` of the gateway."""

    def __init__(self, cache: EventCache, version: str) -> None:
        self._cache = cache
        self._version = version
        self._skip_until = 0.0  # on the monotonic clock
        # Done when the router of this process has read its next events; None if no task waits.
        self._routed: asyncio.Future[None] | None = None

    async def enrich(self, batch: Sequence[Received], *, routes: bool = False) -> None:
        """Enriches the events of a batch whose data is a JSON object, and notes which events are
        duplicates. ``routes`` is as for :meth:`EventCache.remember`; then it is one round trip.

        While Redis is away it waits: without Redis nothing is delivered anyway. If Redis refuses
        the call for REFUSED seconds, the enrichments are incomplete.
        """
        refused_since = None
        reported = False
        while True:
            try:
                contexts = await (
                    self._cache.remember(batch, routes=True)
                    if routes
                    else self._after_the_router(batch)
                )
                self._set_enriched(batch, contexts)
                if routes and self._routed is not None:
                    self._routed.set_result(None)
                    self._routed = None
                return
            except StateError as error:
                if not reported:
                    log.warning("events cannot be enriched yet", error=str(error))
                    reported = True
                now = time.monotonic()
                refused_since = (refused_since or now) if isinstance(error, ResponseError) else None
                if refused_since is not None and now - refused_since >= REFUSED:
                    log.error("events are not enriched, Redis refuses the call", error=str(error))
                    self._set_enriched(batch, [None] * len(batch))
                    return
            await asyncio.sleep(AGAIN)

    async def enrich_now(self, batch: Sequence[Received]) -> None:
        """As :meth:`enrich`, for events that are routed, without waiting: raises the exceptions in
        StateError while Redis is away."""
        contexts: Sequence[EventContext | None]
        try:
            contexts = await self._cache.remember(batch)
        except StateError as error:
            if not refuses_one_command(error):
                raise
            log.error("events are not enriched, Redis refuses the call", error=str(error))
            contexts = [None] * len(batch)
        self._set_enriched(batch, contexts)

    async def enrich_live(self, batch: Sequence[Received]) -> None:
        """Enriches a batch for live subscribers as :meth:`enrich` does, but waits for Redis at most
        LIVE_WAIT seconds, then leaves Redis alone for LIVE_PAUSE seconds; meanwhile the enrichments
        are incomplete."""
        contexts: Sequence[EventContext | None] = [None] * len(batch)
        if time.monotonic() >= self._skip_until:
            try:
                async with asyncio.timeout(LIVE_WAIT):
                    contexts = await self._after_the_router(batch)
            except (*StateError, TimeoutError) as error:
                log.debug("live events are not enriched", error=str(error))
                self._skip_until = time.monotonic() + LIVE_PAUSE
        self._set_enriched(batch, contexts)

    async def _after_the_router(self, batch: Sequence[Received]) -> Sequence[EventContext]:
        """The contexts of a batch, for a reader of some events only. The router reads all events,
        and so knows the related ones: this waits a moment for it to come first."""
        if batch[-1].time > time.time() - FRESH:
            for pause in HEAD_START:
                contexts = await self._cache.peek(batch)
                if all(
                    context.enrichment or not takes_enrichment(received.event)
                    for received, context in zip(batch, contexts, strict=True)
                ):
                    return contexts
                await self._router_reads(pause)
        return await self._cache.remember(batch)

    async def _router_reads(self, seconds: float) -> None:
        """Returns when the router of this process has read events, after ``seconds`` at the latest:
        the router of another process may be the one that reads them."""
        if self._routed is None:
            self._routed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._routed], timeout=seconds)

    async def preview(self, received: Received, *, alone: bool) -> None:
        """Enriches an event that a caller gave: as it was enriched if the cache has an event of the
        same source and id, else as a new one. Keeps nothing. ``alone``: as if no other event was
        known."""
        context = None
        if not alone:
            try:
                async with asyncio.timeout(LIVE_WAIT):
                    context = await self._cache.preview(received)
            except (*StateError, TimeoutError) as error:
                log.debug("a preview is not enriched", error=str(error))
        self._set_enriched([received], [context])

    def _set_enriched(
        self, batch: Sequence[Received], contexts: Sequence[EventContext | None]
    ) -> None:
        for received, context in zip(batch, contexts, strict=True):
            if context is None:
                if takes_enrichment(received.event):
                    received.enriched = _enriched(received.event, self._incomplete(received))
                continue
            if context.enrichment:
                if received.undated:
                    _date(received, context.enrichment)
                received.enriched = _enriched(received.event, context.enrichment)
            if context.duplicate_of is not None:
                received.duplicate_of = context.duplicate_of

    def _incomplete(self, received: Received) -> bytes:
        return (
            f'{{"processed_at":"{rfc3339(received.time)}","gateway_version":"{self._version}",'
            '"correlation_chain":[],"related_events":[],"incomplete":true}'
        ).encode()


def _date(received: Received, enrichment: bytes) -> None:
    """Gives an event without a time the one that its first reader gave it: a copy in a named stream
    has another time than the log."""
    time_text = enrichment[len(_BEGIN) : enrichment.index(b'"', len(_BEGIN))].decode()
    if received.event.time != time_text:
        received.event = msgspec.structs.replace(received.event, time=time_text)


def _enriched(event: Event, enrichment: bytes) -> Event | None:
    try:
        data = splice(event.data, enrichment)
    except (msgspec.DecodeError, RecursionError):
        return None  # such data is passed on unchanged
    if data is None:
        return None
    return Event(
        event.id, event.source, event.type, event.subject, event.time,
        event.datacontenttype, event.dataschema, event.extensions, data, event.kind,
    )  # fmt: skip
