"""The due loop: takes deliveries whose time has come, loads their events, hands them to lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from event_gateway.broker.log import LogUnavailable
from event_gateway.core.delivery import Delivery
from event_gateway.core.event import Received
from event_gateway.delivery.dispatcher import HOLD, LEASE_MARGIN, Dispatcher
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

LOOK = 256  # webhooks looked at in one round
TAKE = 256  # deliveries taken in one round
GATHER = 0.005  # seconds in which more may become due, to be taken together
IDLE = 0.5  # seconds between looks where this process knows of nothing sooner

Place = tuple[str, int]  # an event's stream and sequence
Load = Callable[[Sequence[Place]], Awaitable[list[Received | BaseException | None]]]


class DueLoop:
    """Wakes when something becomes due; looks twice a second for what others left."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, load: Load) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._load = load
        self._next = 0.0
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        dispatcher.wake = self.wake

    def start(self) -> None:
        """Begins to look."""
        self._task = asyncio.create_task(self._run(), name="due")

    async def stop(self) -> None:
        """Takes nothing more."""
        await end([self._task])

    def wake(self, seconds: float) -> None:
        """Something becomes due in so many seconds."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self._next:
            self._next = at
            self._sooner.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._next = loop.time() + IDLE
            busy = False
            try:
                await self._ledger.wait_reachable()
                self._dispatcher.kick()
                busy = await self._round()
            except StateError as error:
                self._ledger.lost(error)
            except LogUnavailable as error:
                log.warning("due deliveries wait", error=str(error))
            if busy:
                continue
            while (left := self._next - loop.time()) > 0:
                self._sooner.clear()
                try:
                    async with asyncio.timeout(left):
                        await self._sooner.wait()
                except TimeoutError:
                    break

    async def _round(self) -> bool:
        """One look; True where something was taken, and so the next time is not known yet."""
        due, next_in = await self._ledger.due_webhooks(LOOK)
        if next_in is not None:
            self.wake(next_in + GATHER)
        wanted = []
        room = TAKE
        for webhook_id in due:
            lane = self._dispatcher.lanes.get(webhook_id)
            if lane is None:
                await self._ledger.cancel_queued(webhook_id, "webhook deleted")
            elif not lane.webhook.enabled:
                continue
            elif not lane.free or not room:
                lane.queued = True
            else:
                count = min(lane.free, room)
                room -= count
                wanted.append((webhook_id, count, HOLD + LEASE_MARGIN))
        if not wanted:
            return False
        taken = await self._ledger.take(wanted)
        # Deliveries of one event share its loading, and all of a round one enrichment.
        places = list({(one.delivery.stream, one.delivery.seq): None for one in taken})
        loaded = dict(zip(places, await self._load(places), strict=True))
        for one in taken:
            delivery = one.delivery
            event = loaded[delivery.stream, delivery.seq]
            if isinstance(event, LogUnavailable):
                continue  # its lease ends, and it comes again
            if isinstance(event, BaseException):
                raise event
            self._dispatcher.resume(delivery, _checked(event, delivery))
        return bool(taken)


def _checked(received: Received | None, delivery: Delivery) -> Received | None:
    """The event, if it is the one that the delivery's record names."""
    if received is None:
        return None
    named = (received.event.source, received.event.id)
    return received if named == (delivery.source, delivery.event_id) else None
