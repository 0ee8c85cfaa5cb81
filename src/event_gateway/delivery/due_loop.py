"""The due loop: takes deliveries whose time has come, loads their events, hands them to lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import Delivery
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import HOLD, LEASE_MARGIN
from event_gateway.delivery.pacing import PAUSE as SICK_PAUSE
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues, limits_ms
from event_gateway.state.records import member_of
from event_gateway.state.script_arguments import LeaseRequest
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

PAGE = 512  # webhooks looked at in one call
TAKE = 256  # deliveries taken in one round
PER_TURN = 8  # of them handed over in one turn of the event loop
LOOK_PER_TURN = 64  # webhooks looked at in one turn
GATHER = 0.003  # seconds in which more may become due, or find room, to be taken together
IDLE = 0.5  # seconds between looks at all that is due
PAUSE = 0.05  # seconds between two pages of such a look

Place = tuple[str, int]  # an event's stream and sequence
Load = Callable[[Sequence[Place]], Awaitable[list[Received | Exception | None]]]


class DueLoop:
    """Takes what a lane has room for as soon as it is due.

    It wakes when something becomes due, and when a lane whose deliveries wait has room again. Twice
    a second it looks at all that is due, for what other processes have left.
    """

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        dispatcher: Dispatcher,
        load: Load,
        supervisor: Supervisor,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._dispatcher = dispatcher
        self._load = load
        self._supervisor = supervisor
        self._hungry: dict[Lane, None] = {}  # lanes with room, whose queue is worth a look
        self._sick: dict[Lane, None] = {}  # and those of them that wait for the pace of the sick
        self._seen = 0.0  # what became due until then, by the server's clock (ms), is known
        self._due_at = 0.0  # when more becomes due, on the loop's clock
        self._look_at = 0.0  # when the next page of all that is due is looked at
        self._page = 0
        self._next = 0.0
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        dispatcher.wake = dispatcher.standing.wake = self.wake
        dispatcher.backlogs.ask = dispatcher.standing.ask = self.ask

    def start(self) -> None:
        """Begins to look."""
        self._task = self._supervisor.start("due-loop", self._run)

    async def stop(self) -> None:
        """Takes nothing more."""
        await end([self._task])

    def wake(self, seconds: float) -> None:
        """Something becomes due in so many seconds."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self._due_at:
            self._due_at = at
            self._wake_at(at)

    def ask(self, lane: Lane) -> None:
        """A lane has room, and deliveries wait in its queue."""
        (self._sick if lane.sick else self._hungry)[lane] = None
        self._wake_at(asyncio.get_running_loop().time() + (SICK_PAUSE if lane.sick else GATHER))

    async def hand_over(self, taken: Sequence[Delivery]) -> None:
        """Loads the events of deliveries that are this process' now, and hands them to lanes.

        A delivery whose event cannot be loaded is taken again when its lease has ended.
        """
        # Deliveries of one event share its loading, and all of a round one enrichment.
        loaded = await self._loaded({(one.stream, one.seq): None for one in taken})
        letters = {
            _letter(one): None
            for one in taken
            if one.letter and one.repeats and _lacks(loaded, one)
        }
        if letters:  # what the log has dropped since
            loaded |= await self._loaded(letters)
        cancelled = False
        for number, delivery in enumerate(taken, 1):
            event = loaded[delivery.stream, delivery.seq]
            if _lacks(loaded, delivery):
                event = loaded.get(_letter(delivery))
            if isinstance(event, LogUnavailable):
                continue  # its lease ends, and it comes again
            if isinstance(event, Exception):
                log.error("the event of a delivery cannot be loaded", webhook=delivery.webhook_id,
                          stream=delivery.stream, seq=delivery.seq, exc_info=event)  # fmt: skip
                continue
            self._dispatcher.resume(delivery, _checked(event, delivery))
            if number % PER_TURN == 0 and not cancelled:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    cancelled = True  # who has taken them sees to all: else their leases must end
        if cancelled:
            raise asyncio.CancelledError

    async def _loaded(self, places: Iterable[Place]) -> dict[Place, Received | Exception | None]:
        wanted = list(places)
        return dict(zip(wanted, await self._load(wanted), strict=True))

    def _wake_at(self, at: float) -> None:
        if at < self._next:
            self._next = at
            self._sooner.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            try:
                await self._ledger.wait_reachable()
                if now >= self._due_at:
                    self._due_at = now + IDLE
                    await self._look_for_new()
                if now >= self._look_at:
                    await self._look_at_all()
                self._next = min(self._due_at, self._look_at)
                await self._round()
            except StateError as error:
                self._ledger.lost(error)
            except LogUnavailable as error:
                log.warning("due deliveries wait", error=str(error))
            while (left := self._next - loop.time()) > 0:
                self._sooner.clear()
                try:
                    async with asyncio.timeout(left):
                        await self._sooner.wait()
                except TimeoutError:
                    break

    async def _look_for_new(self) -> None:
        """Finds lanes of which deliveries have become due since the last look."""
        due, next_in, self._seen = await self._queues.due_since(self._seen, PAGE)
        await self._found(due)
        if next_in is not None:
            self.wake(next_in + GATHER)

    async def _look_at_all(self) -> None:
        """Finds lanes with due deliveries, page by page."""
        if self._page == 0:
            self._dispatcher.backlogs.kick()
        due = await self._queues.due(self._page, PAGE)
        await self._found(due)
        whole = len(due) < PAGE
        self._page = 0 if whole else self._page + PAGE
        self._look_at = asyncio.get_running_loop().time() + (IDLE if whole else PAUSE)

    async def _found(self, due: Sequence[str]) -> None:
        for number, webhook_id in enumerate(due, 1):
            lane = self._dispatcher.lanes.get(webhook_id)
            if lane is None:
                await self._queues.cancel(webhook_id, "webhook deleted", gone=True)
                continue
            lane.queued = True
            if lane not in self._sick and self._dispatcher.room(lane):
                self.ask(lane)
            if number % LOOK_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _round(self) -> None:
        """Takes what the lanes that were found have room for, and hands it to them."""
        wanted = self._wanted()
        if not wanted:
            return
        before = [(lane.overflows, lane.unwritten) for lane, _ in wanted]
        taken = await self._queues.take([one for _, one in wanted])
        got = dict.fromkeys((one.webhook_id for _, one in wanted), 0)
        for delivery in taken:
            got[delivery.webhook_id] += 1
        for (lane, one), (overflows, unwritten) in zip(wanted, before, strict=True):
            # With fewer than there was room for, nothing more waits: who comes now is the oldest.
            more = got[one.webhook_id] >= one.count
            lane.queued = more or unwritten > 0 or lane.overflows != overflows
        if any(one.limits for _, one in wanted):
            self.wake(GATHER)  # to hear when their rates allow more
        await self.hand_over(taken)
        for lane, one in wanted:
            if got[one.webhook_id] >= one.count and self._dispatcher.room(lane):
                self.ask(lane)

    def _wanted(self) -> list[tuple[Lane, LeaseRequest]]:
        """What is to be asked for. No webhook without room stands before one that has it."""
        wanted: list[tuple[Lane, LeaseRequest]] = []
        for lanes, most in ((self._sick, self._dispatcher.sick_room), (self._hungry, TAKE)):
            while lanes and most > 0:
                lane = next(iter(lanes))
                del lanes[lane]
                count = 0 if lane.gone else min(self._dispatcher.room(lane), most)
                if lanes is self._sick:
                    count = min(count, 1)  # what they share goes round
                if lanes is self._hungry and lane.sick:
                    self._sick[lane] = None  # it has fallen sick meanwhile
                elif count:
                    most -= count
                    wanted.append((lane, _wanted(lane, count)))
        if self._hungry or self._sick:
            pause = GATHER if self._hungry else SICK_PAUSE
            self._wake_at(asyncio.get_running_loop().time() + pause)
        return wanted


def _wanted(lane: Lane, count: int) -> LeaseRequest:
    webhook = lane.webhook
    lease = HOLD + LEASE_MARGIN
    return LeaseRequest(
        webhook.id,
        count,
        round(lease * 1000),
        round((webhook.timeout + lease) * 1000),
        limits_ms(webhook),
    )


def _lacks(loaded: Mapping[Place, Received | Exception | None], delivery: Delivery) -> bool:
    """Whether the log does not hold the delivery's event any more."""
    event = loaded[delivery.stream, delivery.seq]
    return not isinstance(event, Exception) and _checked(event, delivery) is None


def _letter(delivery: Delivery) -> Place:
    return DEAD_LETTERS, delivery.letter


def _checked(received: Received | None, delivery: Delivery) -> Received | None:
    """The event, if it is the one that the delivery's record names."""
    if received is None:
        return None
    named = (received.event.source, member_of(received.event.id))
    return received if named == (delivery.source, member_of(delivery.event_id)) else None
