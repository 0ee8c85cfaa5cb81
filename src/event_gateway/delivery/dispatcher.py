"""The dispatcher: starts attempts where lanes have room; other deliveries wait here or in Redis."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import (
    WEBHOOK_DELETED,
    Cancelled,
    DeadLetter,
    Delivery,
    Outcome,
    Status,
)
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery import batching
from event_gateway.delivery.attempts import Attempts
from event_gateway.delivery.backlog import Backlogs
from event_gateway.delivery.circuit_breaker import CircuitBreakers, release_probe
from event_gateway.delivery.dead_letters import DeadLetterWriter
from event_gateway.delivery.deadlines import Deadlines
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane, Makers
from event_gateway.delivery.outcomes import BACKLOG_LEASE, LEASE_MARGIN, Outcomes
from event_gateway.delivery.outcomes_without_attempt import lost_event, outcome_without_attempt
from event_gateway.delivery.pacing import Pacing
from event_gateway.delivery.receiver_health import ReceiverHealth
from event_gateway.delivery.throttling import Throttles
from event_gateway.observability.alerts.tally import AttemptTallies
from event_gateway.observability.metrics import Metrics
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.state.ledger import WRITTEN_AFTER, Ledger
from event_gateway.state.queues import Queues
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.transport.client import Failure, Response

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 4096  # attempts; half of them for failing lanes
SLOT_WAIT = 0.25  # seconds between two looks whether an ordered webhook's attempt may start


class Dispatcher:
    """All lanes of this process.

    ``signal`` is notified when the due loop has to read the queues. ``disable(webhook, reason)``
    has the registry disable a webhook. Public: ``lanes`` by webhook, and what works on them:
    ``breakers``, ``throttles``, ``health``, ``backlogs``.
    """

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        receivers: ReceiverClient,
        builders: RequestBuilders,
        *,
        outcomes: Outcomes,
        deadlines: Deadlines,
        dead_letters: DeadLetterWriter,
        signal: DueSignal,
        lane_reports: LaneReports,
        metrics: Metrics,
        tallies: AttemptTallies,
        disable: Callable[[Webhook, str], None],
        tracing: Tracing,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._makers = Makers(builders, metrics, tallies)
        self._outcomes = outcomes
        self._signal = signal
        self._deadlines = deadlines
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._share = (0, 1)  # this process's index among the peers, and how many they are
        self.lanes: dict[str, Lane] = {}
        self._pacing = Pacing(max_in_flight // 2, self._may_start, self._start_paced)
        self._attempts = Attempts(
            ledger, receivers, outcomes, self._pacing,
            max_in_flight=max_in_flight, tracing=tracing,
            on_result=self._request_ended, on_slot_freed=self._start_next,
        )  # fmt: skip
        self.backlogs = Backlogs(outcomes, self._pacing, self._attempts, signal)
        return_to_queue = self.backlogs.return_to_queue
        self.breakers = CircuitBreakers(ledger, self.lanes, signal, return_to_queue)
        self.throttles = Throttles(ledger, self.lanes, signal, return_to_queue)
        self.health = ReceiverHealth(
            self.lanes,
            self.breakers,
            self.throttles,
            signal,
            reports=lane_reports,
            return_to_queue=return_to_queue,
            disable=disable,
        )

    @property
    def shared(self) -> bool:
        """Whether other processes deliver, too."""
        return self._share[1] > 1

    @property
    def in_flight(self) -> int:
        """Deliveries whose attempt runs now."""
        return self._attempts.in_flight

    def put(self, webhook: Webhook) -> None:
        """Applies a webhook's definition, new or changed; a lane keeps its limit and backlog.

        Raises ValueError if no request can be sent to its URL.
        """
        self._makers.builders.check(webhook)
        lane = self.lanes.get(webhook.id)
        was_active, limits = True, webhook.limits
        if lane is None:
            lane = self.lanes[webhook.id] = Lane(webhook, self._makers)
            self._metrics.webhook(webhook.id)  # the first ones have a label of their own
        else:
            was_active, limits = lane.active, lane.limits
            if lane.webhook.url != webhook.url:
                self.breakers.reset(lane)
                self.throttles.lift(lane)
                lane.mark_moved()
            lane.configure(webhook)
            self._signal.due_in(WRITTEN_AFTER)  # what was held back may be due by then
        self._set_share(lane)
        if lane.limits != limits:
            self._ledger.change_lane(webhook.id, "rate")
            # With a rate limit, the queue counts the deliveries that are taken from it.
            self.backlogs.return_to_queue(lane)
        if not lane.active:
            self._ledger.change_lane(webhook.id, "pause")
            self.backlogs.return_to_queue(lane)
        elif not was_active:
            self._ledger.change_lane(webhook.id, "resume")
            lane.forget_failures()

    def remove(self, webhook_id: str) -> None:
        """Drops a webhook's lane: the deliveries in its backlog are cancelled."""
        lane = self.lanes.pop(webhook_id, None)
        if lane is not None:
            lane.mark_deleted()
            self.throttles.lift(lane)
            for job in self.backlogs.remove(lane):
                self._outcomes.apply(None, job, Cancelled(WEBHOOK_DELETED))

    def set_share(self, index: int, processes: int) -> None:
        """Sets how many processes share each concurrency limit, and which of them this one is."""
        if self._share != (index, processes):
            self._share = (index, processes)
            for lane in self.lanes.values():
                self._set_share(lane)
            self._signal.due_now()  # other processes may have left deliveries for this one

    def dispatch(
        self, received: Received, webhook: Webhook, on_recorded: Callable[[], None]
    ) -> None:
        """Takes a new delivery; ``on_recorded`` is called once the ledger has a state for it."""
        event = received.event
        delivery = Delivery(
            webhook.id, event.id, event.source, received.stream, received.seq,
            self._ledger.token(), event_at=received.time,
        )  # fmt: skip
        job = Job(delivery, received, on_recorded)
        lane = self.lanes.get(webhook.id)
        if lane is None:
            self._outcomes.apply(None, job, Cancelled(WEBHOOK_DELETED))
            return
        # Older deliveries go first; with a rate limit, the queue counts what is taken from it.
        in_queue = lane.has_queued or bool(lane.limits)
        at_once = lane.batch is None and not in_queue and not lane.backlog
        if at_once and self._attempts.can_start(lane):
            self._attempts.start(lane, [job])
        elif not in_queue and lane.accepts and lane.backlog_slots and self.backlogs.have_room:
            lease = BACKLOG_LEASE + LEASE_MARGIN
            self.backlogs.add(lane, job)
            delivery.leased_until = job.waiting_since + lease
            self._outcomes.record(job, Status.PENDING, lease)
            self.backlogs.gather(lane)
        else:
            self.backlogs.enqueue(lane, job)

    def dispatch_leased(
        self, delivery: Delivery, received: Received | None, *, stored: bytes = b""
    ) -> None:
        """Goes on with a delivery that was leased from its queue; ``received`` is None where its
        event is lost. ``stored``: the bytes of a message that is no event, for the dead letter."""
        lane = self.lanes.get(delivery.webhook_id)
        if received is None:
            event = lost_event(delivery, stored)
            delivery.event_at = delivery.event_at or time.time()
            lost = Received(event, delivery.stream, delivery.seq, delivery.event_at)
            job = Job(delivery, lost)
            outcome: Outcome | None = DeadLetter(AttemptErrorType.EVENT_LOST)
        else:
            delivery.event_at = delivery.event_at or received.time
            delivery.event_id = received.event.id  # the queue may have shortened it
            job = Job(delivery, received)
            outcome = outcome_without_attempt(lane, delivery, self._deadlines)
        if outcome is not None or lane is None:
            release_probe(self._ledger, delivery)
            self._outcomes.apply(lane, job, outcome or Cancelled(WEBHOOK_DELETED))
        elif (delivery.probe and not lane.throttled) or (
            batching.goes_alone(lane, job) and self._attempts.can_start(lane)
        ):
            self._attempts.start(lane, [job])
        elif lane.accepts:
            self.backlogs.add(lane, job)
            self.backlogs.gather(lane)
        else:
            release_probe(self._ledger, delivery)  # of a webhook that was throttled meanwhile
            self.backlogs.enqueue(lane, job)

    async def wait_to_retry(self, webhook_id: str, seconds: float) -> None:
        """Waits for ``seconds``, or until the webhook gets another endpoint URL."""
        lane = self.lanes.get(webhook_id)
        if lane is None or seconds <= 0:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await lane.moved.wait()

    async def start_in_order(self, job: Job) -> None:
        """Starts an attempt of an ordered webhook's delivery, once it may start.

        Where none is to be made any more, applies the delivery's outcome instead. Raises what
        StateError names.
        """
        delivery = job.delivery
        while True:
            lane = self.lanes.get(delivery.webhook_id)
            outcome = outcome_without_attempt(lane, delivery, self._deadlines)
            if outcome is not None or lane is None:
                self._outcomes.apply(lane, job, outcome or Cancelled(WEBHOOK_DELETED))
                return
            if not lane.active or lane.disable_pending:
                await asyncio.sleep(SLOT_WAIT)
            elif not self._attempts.has_slot(lane):
                await self._slot_freed(lane)
            else:
                if not (lane.tripped or lane.throttled or lane.limits):
                    break
                may_start, delivery.probe, wait = await self._queues.may_start(
                    lane.webhook, delivery.token, lane.webhook.timeout + LEASE_MARGIN
                )
                if may_start:
                    break
                await asyncio.sleep(min(wait, SLOT_WAIT))
        self._attempts.start(lane, [job])

    def room(self, lane: Lane) -> int:
        """How many deliveries to request from a lane's queue."""
        if self.backlogs.full:
            return min(lane.room, lane.attempt_slots)
        return lane.room

    @property
    def paced_room(self) -> int:
        """How many attempts of failing lanes may start now, in all of them together."""
        return self._pacing.available

    async def stop(self, timeout: float) -> None:
        """Starts nothing more, returns the backlogs to the queues, and waits at most ``timeout``
        seconds for the attempts in flight."""
        self._attempts.stop()
        self._pacing.stop()
        self.backlogs.stop()
        deadline = time.monotonic() + timeout
        while self._attempts.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._attempts.in_flight:
            log.warning("attempts cut off; they stay in progress until their lease ends",
                        count=self._attempts.in_flight)  # fmt: skip
        await self._dead_letters.stop(max(0.5, deadline - time.monotonic()))
        self._attempts.cut_off()

    def _set_share(self, lane: Lane) -> None:
        lane.set_share(*self._share)
        if not lane.share:
            self.backlogs.return_to_queue(lane)  # only other processes have a share

    async def _slot_freed(self, lane: Lane) -> None:
        """Returns when a slot of a lane may have become free, or after a while."""
        lane.slot_freed.clear()
        if lane.failing:
            self._pacing.wait(lane)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SLOT_WAIT):
                await lane.slot_freed.wait()

    def _may_start(self) -> bool:
        return self._attempts.may_start()

    def _start_paced(self, lane: Lane) -> None:
        self.backlogs.drain(lane, 1)

    def _request_ended(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        self.health.request_ended(lane, job, result)

    def _start_next(self, lane: Lane) -> None:
        """A request of the lane has ended: starts the next ones."""
        if self._attempts.nearly_full:
            self.backlogs.offer_slot()
        if lane.failing and lane.backlog:
            self._pacing.wait(lane)  # behind the lanes that have not had their turn yet
        else:
            self.backlogs.drain(lane)
