"""The due loop: takes deliveries whose time has come, loads their events, hands them to lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from event_gateway.broker.log import LogUnavailable
from event_gateway.core.delivery import Delivery
from event_gateway.core.event import Received
from event_gateway.delivery.dispatcher import LEASE_MARGIN, Dispatcher
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import HOLD
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues, Wanted
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

PAGE = 512  # webhooks looked at in one call
PAGES = 8  # in one round; the next one begins behind them
TAKE = 256  # deliveries taken in one round
PAUSE = 0.05  # seconds until the next round where this one did not see all that is due
GATHER = 0.005  # seconds in which more may become due, to be taken together
IDLE = 0.5  # seconds between looks where this process knows of nothing sooner

Place = tuple[str, int]  # an event's stream and sequence
Load = Callable[[Sequence[Place]], Awaitable[list[Received | BaseException | None]]]


class DueLoop:
    """Wakes when something becomes due; looks twice a second for what others left."""

    def __init__(self, ledger: Ledger, queues: Queues, dispatcher: Dispatcher, load: Load) -> None:
        self._ledger = ledger
        self._queues = queues
        self._dispatcher = dispatcher
        self._load = load
        self._begin = 0
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

    async def hand_over(self, taken: Sequence[Delivery]) -> None:
        """Loads the events of deliveries that are this process' now, and hands them to lanes."""
        # Deliveries of one event share its loading, and all of a round one enrichment.
        places = list({(one.stream, one.seq): None for one in taken})
        loaded = dict(zip(places, await self._load(places), strict=True))
        for delivery in taken:
            event = loaded[delivery.stream, delivery.seq]
            if isinstance(event, LogUnavailable):
                continue  # its lease ends, and it comes again
            if isinstance(event, BaseException):
                raise event
            self._dispatcher.resume(delivery, _checked(event, delivery))

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
        wanted = await self._look()
        if not wanted:
            return False
        before = [(lane.overflows, lane.unwritten) for lane, _ in wanted]
        taken = await self._queues.take([one for _, one in wanted])
        got = dict.fromkeys((one.webhook_id for _, one in wanted), 0)
        for delivery in taken:
            got[delivery.webhook_id] += 1
        for (lane, one), (overflows, unwritten) in zip(wanted, before, strict=True):
            # With fewer than there was room for, nothing more waits: who comes now is the oldest.
            more = got[one.webhook_id] >= one.count
            lane.queued = more or unwritten > 0 or lane.overflows != overflows
        await self.hand_over(taken)
        return bool(taken)

    async def _look(self) -> list[tuple[Lane, Wanted]]:
        """What this process has room for, of what is due.

        Webhooks without room here are passed over, however many: they hide none behind them.
        """
        wanted: list[tuple[Lane, Wanted]] = []
        room = TAKE
        begin, self._begin = self._begin, 0
        for _ in range(PAGES):
            due, next_in = await self._queues.due(begin, PAGE)
            if next_in is not None:
                self.wake(next_in + GATHER)
            for webhook_id in due:
                lane = self._dispatcher.lanes.get(webhook_id)
                if lane is None:
                    await self._queues.cancel(webhook_id, "webhook deleted", gone=True)
                elif room and (count := min(lane.room, room)):
                    room -= count
                    wanted.append((lane, _wanted(lane, count)))
                else:
                    lane.queued = True
            if len(due) < PAGE or not room:
                return wanted
            begin += PAGE
        self._begin = begin
        self.wake(PAUSE)
        return wanted


def _wanted(lane: Lane, count: int) -> Wanted:
    webhook = lane.webhook
    lease = HOLD + LEASE_MARGIN
    rate = webhook.rate_limit
    return Wanted(
        webhook.id,
        count,
        round(lease * 1000),
        round((webhook.timeout + lease) * 1000),
        rate.events if rate else 0,
        round(rate.per * 1000) if rate else 0,
    )


def _checked(received: Received | None, delivery: Delivery) -> Received | None:
    """The event, if it is the one that the delivery's record names."""
    if received is None:
        return None
    named = (received.event.source, received.event.id)
    return received if named == (delivery.source, delivery.event_id) else None
