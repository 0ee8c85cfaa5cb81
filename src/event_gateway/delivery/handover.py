"""Hands leased deliveries to the dispatcher, together with their events from the log."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.log_reader import Undecodable
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import Delivery
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.pipeline.stored_events import NotEnriched
from event_gateway.state.records import member_of

log = structlog.get_logger(__name__)

PER_TURN = 8  # deliveries handed over in one turn of the event loop

Position = tuple[str, int]  # an event's stream and sequence
Loaded = Mapping[Position, Received | Exception | None]
Load = Callable[[Sequence[Position]], Awaitable[list[Received | Exception | None]]]


class Handover:
    """Loads events with ``load``: for each position an event, None where the stream has none any
    more, or the exception that loading it raised, Undecodable where the message is no event."""

    def __init__(self, dispatcher: Dispatcher, load: Load) -> None:
        self._dispatcher = dispatcher
        self._load = load
        self.mean_size = 0  # bytes of data of an event, on average over the latest deliveries

    async def hand_over(
        self, deliveries: Sequence[Delivery], *, dropped_before: float | None = None
    ) -> None:
        """Loads the events of deliveries that this process has leased, and dispatches them, as
        :meth:`load` and :meth:`dispatch` do."""
        loaded = await self.load(deliveries)
        await self.dispatch(deliveries, loaded, dropped_before=dropped_before)

    async def load(self, deliveries: Sequence[Delivery]) -> Loaded:
        """Loads the events of deliveries, and those in the dead letters of which some start."""
        # Deliveries of one event share its loading, and all of a round one enrichment.
        loaded = await self._loaded({(each.stream, each.seq): None for each in deliveries})
        dead_letters = {
            _dead_letter(delivery): None
            for delivery in deliveries
            if delivery.dead_letter and delivery.run_by and _is_missing(loaded, delivery)
        }
        if dead_letters:  # they hold events that the log has dropped since
            loaded |= await self._loaded(dead_letters)
        sizes = [len(each.event.data) for each in loaded.values() if isinstance(each, Received)]
        self.mean_size = sum(sizes) // len(sizes) if sizes else 0
        return loaded

    async def dispatch(
        self,
        deliveries: Sequence[Delivery],
        loaded: Loaded,
        *,
        dropped_before: float | None = None,
        at_once: bool = False,
    ) -> None:
        """Dispatches deliveries with their loaded events, some in each turn of the event loop; all
        of them if it is cancelled meanwhile.

        A delivery whose event cannot be read or enriched now is leased again when its lease has
        ended. One whose event is gone is dispatched as lost, and so is one whose stored message is
        no event: with the message's bytes. ``dropped_before``: the deliveries are past their
        deadline, and the log has dropped the events that came in before that time (Unix time).
        ``at_once``: in this turn of the event loop.
        """
        cancelled = False
        for number, delivery in enumerate(deliveries, 1):
            event = loaded[delivery.stream, delivery.seq]
            if isinstance(event, Received) and _is_of(event, delivery):
                self._dispatcher.dispatch_leased(delivery, event)
            else:
                self._dispatch_missing(delivery, loaded, dropped_before)
            if number % PER_TURN == 0 and not (cancelled or at_once):
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    cancelled = True  # dispatches the others all the same, which are leased
        if cancelled:
            raise asyncio.CancelledError

    def _dispatch_missing(
        self, delivery: Delivery, loaded: Loaded, dropped_before: float | None
    ) -> None:
        """Dispatches a delivery whose event is not at its place, unless that may change."""
        event = loaded[delivery.stream, delivery.seq]
        if _is_missing(loaded, delivery):
            event = loaded.get(_dead_letter(delivery)) or event
        if isinstance(event, (LogUnavailable, NotEnriched)):
            return
        stored = b""
        if isinstance(event, Exception):
            log.error("the event of a delivery cannot be loaded", webhook=delivery.webhook_id,
                      event_id=delivery.event_id, stream=delivery.stream, seq=delivery.seq,
                      fault=event)  # fmt: skip
            if not _is_final(event, delivery, dropped_before):
                return
            stored = event.data if isinstance(event, Undecodable) else b""
            event = None
        found = event if event is not None and _is_of(event, delivery) else None
        self._dispatcher.dispatch_leased(delivery, found, stored=stored)

    async def _loaded(
        self, positions: Iterable[Position]
    ) -> dict[Position, Received | Exception | None]:
        ordered = list(positions)
        return dict(zip(ordered, await self._load(ordered), strict=True))


def _is_missing(loaded: Loaded, delivery: Delivery) -> bool:
    """Whether the log does not hold the delivery's event (any more)."""
    event = loaded[delivery.stream, delivery.seq]
    if isinstance(event, Exception):
        return isinstance(event, Undecodable) and event.refused
    return event is None or not _is_of(event, delivery)


def _is_final(error: Exception, delivery: Delivery, dropped_before: float | None) -> bool:
    """Whether trying again to load the event of a delivery is of no use."""
    if isinstance(error, Undecodable):
        # While time is left, another version of the gateway may be able to decode it.
        return error.refused or dropped_before is not None
    return dropped_before is not None and delivery.event_at < dropped_before


def _dead_letter(delivery: Delivery) -> Position:
    return DEAD_LETTERS, delivery.dead_letter


def _is_of(received: Received, delivery: Delivery) -> bool:
    """Whether the event is the one that the delivery's record names."""
    event = received.event
    return event.source == delivery.source and (
        event.id == delivery.event_id or member_of(event.id) == member_of(delivery.event_id)
    )
