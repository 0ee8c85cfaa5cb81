"""The due loop: leases deliveries that are due from the queues, and hands them to their lanes."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import structlog

from event_gateway.beats import at_beat
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.core.webhook.delivery import WEBHOOK_DELETED, Delivery
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.due_signal import GATHER, DueSignal
from event_gateway.delivery.handover import Handover
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import BACKLOG_LEASE, LEASE_MARGIN
from event_gateway.delivery.pacing import LANE_AT_ONCE
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues, limits_ms
from event_gateway.state.script_arguments import LeaseRequest
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

PAGE = 512  # webhooks looked at in one call
MAX_LEASED = 256  # deliveries leased in one round
MAX_LEASED_BYTES = 16 * 1024 * 1024  # of their events' data, if they are as large as the last ones
MAX_ROUNDS = 2  # under way: one is dispatched, while the next one is leased and its events loaded
LANES_PER_TURN = 64  # looked at in one turn of the event loop
UNKNOWN = 10.0  # seconds without a lane after which a webhook's deliveries are cancelled
IDLE = 5.0  # seconds between two looks for what has become due without a word
IDLE_BESIDE_OTHERS = 0.5  # the same where other processes leave deliveries for this one
SCAN = 0.5  # seconds between two scans of everything that is due
PAGE_PAUSE = 0.05  # seconds between two pages of such a scan


class DueLoop:
    """Leases as many due deliveries as their lanes have room for.

    It wakes by ``signal``: when a delivery becomes due, and when a lane has room again. Every five
    seconds it looks for deliveries of which no signal has told it; twice a second where there are
    other processes, which leave what they have no share of, or give it back. While there are due
    deliveries, it scans them twice a second.
    ``may_exist``: whether a webhook without a lane may be registered all the same. The deliveries
    of others are cancelled, after a while: this process may learn of a new webhook a little later
    than the process that has queued its deliveries.
    """

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        dispatcher: Dispatcher,
        signal: DueSignal,
        *,
        handover: Handover,
        may_exist: Callable[[str], bool],
        supervisor: Supervisor,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._dispatcher = dispatcher
        self._signal = signal
        self._handover = handover
        self._may_exist = may_exist
        self._unknown_since: dict[str, float] = {}  # by webhook without a lane, on the loop's clock
        self._supervisor = supervisor
        self._seen_until = 0.0  # what became due before, by the server's clock (ms), is known
        # When to look at the next page of everything due, on the loop's clock; never while nothing
        # is due.
        self._scan_at = math.inf
        self._page = 0
        self._rounds: list[asyncio.Task[None]] = []  # that are not dispatched yet, the oldest first
        self._coming: Counter[Lane] = Counter()  # deliveries of these rounds
        self._postponed: set[Lane] = set()  # lanes with room for more only once these have come
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to lease deliveries."""
        self._task = self._supervisor.start("due-loop", self.run)

    async def stop(self) -> None:
        """Leases nothing more; deliveries that are leased already are dispatched first."""
        await end([self._task])

    async def run(self) -> None:
        """Leases deliveries for ever."""
        for former in (self._rounds, self._coming, self._postponed):
            former.clear()  # of a run that has crashed
        async with asyncio.TaskGroup() as group:
            await self._run(group)

    async def _run(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            try:
                await self._ledger.wait_reachable()
                if now >= self._signal.due_at:
                    self._signal.expect_nothing()
                    look = IDLE_BESIDE_OTHERS if self._dispatcher.shared else IDLE
                    at_beat(look, self._signal.due_now)
                    await self._find_newly_due()
                if now >= self._scan_at:
                    await self._scan()
                self._signal.sleep_until(min(self._signal.due_at, self._scan_at))
                await self._lease_round(group)
            except StateError as error:
                self._ledger.mark_unreachable(error)
                self._signal.due_in(SCAN)  # what was due is not known any more
            except LogUnavailable as error:
                log.warning("due deliveries wait, the log cannot be read", error=str(error))
            await self._signal.wait()

    async def _find_newly_due(self) -> None:
        """Finds lanes with deliveries that have become due since the last look."""
        due, next_in, self._seen_until, all_due = await self._queues.due_since(
            self._seen_until, PAGE
        )
        await self._request_for(due)
        if next_in is not None:
            self._signal.due_in(next_in + GATHER)
        if all_due and math.isinf(self._scan_at):
            self._scan_at = asyncio.get_running_loop().time()
        elif not all_due:
            self._begin_scan()
            self._page, self._scan_at = 0, math.inf

    async def _scan(self) -> None:
        """Finds lanes with due deliveries, a page at a time."""
        if self._page == 0:
            self._begin_scan()
        due = await self._queues.due(self._page, PAGE)
        await self._request_for(due)
        is_last = len(due) < PAGE
        self._page = 0 if is_last else self._page + PAGE
        self._scan_at = asyncio.get_running_loop().time() + (SCAN if is_last else PAGE_PAUSE)

    def _begin_scan(self) -> None:
        lanes, unknown = self._dispatcher.lanes, self._unknown_since
        self._unknown_since = {id_: at for id_, at in unknown.items() if id_ not in lanes}
        self._dispatcher.backlogs.drain_all()

    async def _request_for(self, webhooks: Sequence[str]) -> None:
        """Requests deliveries for those of the webhooks whose lanes have room."""
        for number, webhook_id in enumerate(webhooks, 1):
            lane = self._dispatcher.lanes.get(webhook_id)
            if lane is None:
                now = asyncio.get_running_loop().time()
                since = self._unknown_since.setdefault(webhook_id, now)
                if now - since < UNKNOWN or self._may_exist(webhook_id):
                    continue
                del self._unknown_since[webhook_id]
                await self._queues.cancel(webhook_id, WEBHOOK_DELETED, deleted=True)
                continue
            lane.found_queued()
            if lane not in self._signal.paced_lanes and self._dispatcher.room(lane):
                self._signal.request_deliveries(lane)
            if number % LANES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _lease_round(self, group: asyncio.TaskGroup) -> None:
        """Leases the deliveries that were requested, and has them handed over."""
        if len(self._rounds) >= MAX_ROUNDS:
            await asyncio.wait(self._rounds[:1])
        requests = self._requests()
        if not requests:
            return
        before = [lane.overflow_mark() for lane, _ in requests]
        deliveries = await self._queues.take([request for _, request in requests])
        leased = {request.webhook_id: 0 for _, request in requests}
        for delivery in deliveries:
            leased[delivery.webhook_id] += 1
        full: list[Lane] = []  # lanes that got all that they had room for may have more
        for (lane, request), mark in zip(requests, before, strict=True):
            is_full = leased[request.webhook_id] >= request.count
            lane.queue_read(mark, more=is_full)
            if is_full:
                full.append(lane)
            if request.limits:
                self._signal.due_in(GATHER)  # to learn when its rate limits allow more
        if not deliveries:
            return
        lanes = {lane: leased[request.webhook_id] for lane, request in requests}
        self._coming.update(lanes)
        former = self._rounds[-1] if self._rounds else None
        self._rounds.append(group.create_task(self._hand_over(deliveries, lanes, full, former)))
        self._request_more([lane for lane in full if not lane.paced])

    async def _hand_over(
        self,
        deliveries: Sequence[Delivery],
        lanes: Mapping[Lane, int],
        full: Sequence[Lane],
        former: asyncio.Task[None] | None,
    ) -> None:
        """Loads the events of a round, and dispatches it after the former one. ``lanes``: how many
        deliveries of each it has; ``full``: the lanes that may have more."""
        try:
            loaded = await self._handover.load(deliveries)
            is_cancelled = False
            if former is not None:
                try:
                    await asyncio.wait([former])
                except asyncio.CancelledError:
                    is_cancelled = True  # dispatches them all the same, which are leased
            await self._handover.dispatch(deliveries, loaded, at_once=is_cancelled)
            if is_cancelled:
                raise asyncio.CancelledError
        except StateError as error:
            self._ledger.mark_unreachable(error)
            return  # the scans find what is due later
        except LogUnavailable as error:
            log.warning("due deliveries wait, the log cannot be read", error=str(error))
            return
        finally:
            self._rounds.remove(cast(Any, asyncio.current_task()))
            self._coming.subtract(lanes)  # of some lanes a round has none
            self._coming = +self._coming
            postponed = self._postponed & lanes.keys()
            self._postponed -= postponed
        self._request_more({*full, *postponed})

    def _request_more(self, lanes: Iterable[Lane]) -> None:
        """Requests the next deliveries of lanes that have more, and room for them."""
        for lane in lanes:
            # A healthy lane has the next ones requested once half of its backlog is free, as each
            # attempt that ends does: else a queue that drains is read a few at a time.
            if self._room(lane) if lane.paced else lane.needs_refill and not self._is_filling(lane):
                self._signal.request_deliveries(lane)

    def _is_filling(self, lane: Lane) -> bool:
        """Whether the deliveries that come take more than half of the room in a lane's backlog."""
        return self._coming[lane] > lane.backlog_slots // 2

    def _room(self, lane: Lane) -> int:
        """How many deliveries to lease for a lane, beside those that come."""
        return max(0, self._dispatcher.room(lane) - self._coming[lane])

    def _requests(self) -> list[tuple[Lane, LeaseRequest]]:
        """What to lease for which lane, at most :data:`MAX_LEASED`. Lanes without room are left
        out, so that none of them stands before one that has room."""
        signal = self._signal
        requests: list[tuple[Lane, LeaseRequest]] = []
        large = MAX_LEASED_BYTES // max(1, self._handover.mean_size)
        for lanes, most in (
            (signal.paced_lanes, self._dispatcher.paced_room),
            (signal.lanes, min(MAX_LEASED, max(1, large))),
        ):
            # Of the lanes that are paced, none has a second attempt before each has had one.
            each = most
            if lanes is signal.paced_lanes:
                each = max(1, min(LANE_AT_ONCE, most // max(1, len(lanes))))
            while lanes and most > 0:
                lane = next(iter(lanes))
                del lanes[lane]
                count = 0 if lane.deleted else min(self._room(lane), most, each)
                if not lane.paced and lane in self._coming and self._is_filling(lane):
                    self._postponed.add(lane)
                elif lanes is signal.lanes and lane.paced:
                    signal.paced_lanes[lane] = None  # it has started to fail meanwhile
                elif count:
                    most -= count
                    requests.append((lane, _lease_request(lane, count)))
        signal.served()
        return requests


def _lease_request(lane: Lane, count: int) -> LeaseRequest:
    webhook = lane.webhook
    lease = BACKLOG_LEASE + LEASE_MARGIN
    return LeaseRequest(
        webhook.id,
        count,
        round(lease * 1000),
        round((webhook.timeout + lease) * 1000),
        limits_ms(lane.limits) if lane.limits else (),
    )
