"""The dispatcher: starts attempts where lanes are free; all else waits, here or in the ledger."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

import structlog

from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.errors import ErrorType
from event_gateway.core.webhook.delivery import (
    Cancelled,
    DeadLetter,
    Delivery,
    Outcome,
    Retry,
    Status,
    error_for_status,
)
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery import batching
from event_gateway.delivery.backlog import Backlogs
from event_gateway.delivery.circuit_breaker import Standing
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.lane import Job, Lane
from event_gateway.delivery.outcomes import HOLD, LEASE_MARGIN, Outcomes
from event_gateway.delivery.pacing import SickTurns
from event_gateway.observability.metrics import Metrics
from event_gateway.request import sample_request
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import BuildRequest, ReceiverClient
from event_gateway.request.request import Unsendable
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues
from event_gateway.transport.client import Failure, Response

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 4096  # attempts; half of them for lanes whose receiver is sick
MAX_UNWRITTEN = 4096  # states that the ledger has yet to confirm, beyond which no attempt begins
SECRET_WAIT = 15.0  # seconds until a missing secret is looked for again
IDLE_WAIT = 0.25  # seconds until an attempt that is kept out of the queue is looked at again

# Where no request could be made after something had been waited for.
OWN_ERRORS = frozenset((ErrorType.TRANSFORMATION_ERROR, ErrorType.SECRET_MISSING))


class Dispatcher:
    """All lanes of this process. ``wake`` is told in how many seconds something becomes due.
    ``standing``: how the receivers are, by what their attempts say; ``backlogs``: what waits here.
    """

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        receivers: ReceiverClient,
        builders: RequestBuilders,
        outcomes: Outcomes,
        dead_letters: DeadLetters,
        metrics: Metrics,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._receivers = receivers
        self._builders = builders
        self._outcomes = outcomes
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._max_in_flight = max_in_flight
        self._sick = SickTurns(
            max_in_flight // 2, self._may_any, lambda lane: self.backlogs.drain(lane, 1)
        )
        self.backlogs = Backlogs(outcomes, self._sick, self._may_start, self._start)
        self._place = (0, 1)
        self._stopping = False
        self._stopped = False
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.wake: Callable[[float], None] = lambda seconds: None
        self.standing = Standing(ledger, self.lanes, self.backlogs.give_back)

    def put(self, webhook: Webhook) -> None:
        """Takes up a webhook, or its change; its limit and its backlog stay."""
        builder = self._builders.for_webhook(webhook)
        lane = self.lanes.get(webhook.id)
        was_active, limits = True, webhook.limits
        if lane is None:
            lane = Lane(webhook, builder, self._metrics.webhook(webhook.id))
            self.lanes[webhook.id] = lane
        else:
            was_active, limits = lane.active, lane.limits
            if lane.webhook.url != webhook.url:
                self.standing.begin_anew(lane)
            lane.change(webhook, builder)
            lane.halted = False
        self._divide(lane)
        if lane.limits != limits:
            self._ledger.change_lane(webhook.id, "rate")
            self.backlogs.give_back(lane)  # who takes it from the queue is counted
        if not lane.active:
            self.standing.pause(lane)
        elif not was_active:
            self.standing.resume(lane)

    def remove(self, webhook_id: str) -> None:
        """Drops a webhook: what waits here for it is cancelled."""
        lane = self.lanes.pop(webhook_id, None)
        if lane is not None:
            lane.gone = True
            for job in self.backlogs.dropped(lane):
                self._outcomes.carry_out(None, job, Cancelled("webhook deleted"))

    def divide(self, place: int, processes: int) -> None:
        """This process is the ``place``-th of so many that share each webhook's concurrency."""
        if self._place != (place, processes):
            self._place = (place, processes)
            for lane in self.lanes.values():
                self._divide(lane)

    def _divide(self, lane: Lane) -> None:
        lane.divide(*self._place)
        if not lane.share:
            self.backlogs.give_back(lane)  # it is for other processes alone

    def dispatch(self, received: Received, webhook: Webhook, recorded: Callable[[], None]) -> None:
        """Takes a new delivery; ``recorded`` is called once the ledger has a state for it."""
        event = received.event
        delivery = Delivery(
            webhook.id, event.id, event.source, received.stream, received.seq,
            self._ledger.token(), event_at=received.time,
        )  # fmt: skip
        job = Job(delivery, received, recorded)
        lane = self.lanes.get(webhook.id)
        if lane is None:
            self._outcomes.carry_out(None, job, Cancelled("webhook deleted"))
            return
        # What waits in the ledger is older; and with a rate, who takes from there is counted.
        in_queue = lane.queued or bool(lane.limits)
        at_once = lane.batch is None and not in_queue and not lane.backlog
        if at_once and self._may_start(lane):
            self._start(lane, [job])
        elif not in_queue and lane.takes and lane.places and self.backlogs.have_room:
            delivery.held_until = asyncio.get_running_loop().time() + HOLD + LEASE_MARGIN
            self.backlogs.hold(lane, job)
            self._outcomes.submit(job, Status.PENDING, HOLD + LEASE_MARGIN)
            self.backlogs.gather(lane)
        else:
            self.backlogs.queue(lane, job)

    def resume(self, delivery: Delivery, received: Received | None) -> None:
        """Carries on with a delivery that was taken; ``received`` is None where its event is
        lost."""
        lane = self.lanes.get(delivery.webhook_id)
        if received is None:
            event = Event(delivery.event_id, delivery.source, "unknown")
            delivery.event_at = delivery.event_at or time.time()
            lost = Received(event, delivery.stream, delivery.seq, delivery.event_at)
            job = Job(delivery, lost)
            outcome: Outcome | None = DeadLetter(ErrorType.EVENT_LOST)
        else:
            delivery.event_at = delivery.event_at or received.time
            delivery.event_id = received.event.id  # the queue may have it by its beginning alone
            job = Job(delivery, received)
            outcome = self._foregone(lane, delivery)
        if outcome is not None or lane is None:
            self.standing.untried(delivery)
            self._outcomes.carry_out(lane, job, outcome or Cancelled("webhook deleted"))
        elif delivery.probe or (batching.alone(lane, job) and self._may_start(lane)):
            self._start(lane, [job])
        elif lane.takes:
            self.backlogs.hold(lane, job)
            self.backlogs.gather(lane)
        else:
            self.backlogs.queue(lane, job)

    def room(self, lane: Lane) -> int:
        """How many are to be asked for from a lane's queue."""
        if self.backlogs.full:
            return min(lane.room, lane.starts)
        return lane.room

    @property
    def sick_room(self) -> int:
        """How many attempts for sick receivers may begin now, in all lanes."""
        return self._sick.left

    async def begin(self, job: Job) -> None:
        """Begins an attempt of a delivery that is kept out of the queue, once it may begin.

        Where none is to be made any more, carries out what becomes of it instead. Raises what
        StateError names.
        """
        delivery = job.delivery
        while True:
            lane = self.lanes.get(delivery.webhook_id)
            outcome = self._foregone(lane, delivery)
            if outcome is not None or lane is None:
                self._outcomes.carry_out(lane, job, outcome or Cancelled("webhook deleted"))
                return
            if not lane.active or lane.halted:
                await asyncio.sleep(IDLE_WAIT)
            elif not self._has_place(lane):
                await self._freed(lane)
            else:
                if not (lane.shut or lane.limits):
                    break
                admitted, delivery.probe, wait = await self._queues.admit(
                    lane.webhook, delivery.token, lane.webhook.timeout + LEASE_MARGIN
                )
                if admitted:
                    break
                await asyncio.sleep(min(wait, IDLE_WAIT))
        self._start(lane, [job])

    async def attempt(self, webhook: Webhook, event: Event | None) -> Any:
        """Sends that event, or a sample, to a webhook's receiver; returns what the API shows."""
        builder = self._builders.for_webhook(webhook)
        event = event or sample_request.sample_event(webhook)
        return await sample_request.send(self._receivers, builder, webhook, event)

    async def stop(self, timeout: float) -> None:
        """Starts nothing more, gives back what waits, and lets what runs finish in time."""
        self._stopping = True
        self._sick.stop()
        self.backlogs.stop()
        deadline = time.monotonic() + timeout
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self.in_flight:
            log.warning("attempts cut off; they stay in progress until their lease ends",
                        count=self.in_flight)  # fmt: skip
        await self._dead_letters.stop(max(0.5, deadline - time.monotonic()))
        self._stopped = True

    def _foregone(self, lane: Lane | None, delivery: Delivery) -> Outcome | None:
        """What becomes of a delivery without an attempt; None where it is to be tried."""
        if lane is None:
            return Cancelled("webhook deleted")
        if not delivery.repeats and not lane.webhook.is_older_than(delivery.stream, delivery.seq):
            return Cancelled("webhook deleted")  # it was for a webhook that had this id before
        if delivery.failed:
            reason = delivery.attempts[-1].error_type if delivery.attempts else None
            return DeadLetter(reason or ErrorType.SERVER_ERROR)
        if self._outcomes.left(lane.webhook, delivery.event_at, delivery.latest) <= 0:
            return DeadLetter(ErrorType.EXPIRED)
        return None

    def _may_start(self, lane: Lane) -> bool:
        return lane.takes and self._has_place(lane)

    def _has_place(self, lane: Lane) -> bool:
        return lane.starts > 0 and self._may_any() and (not lane.strained or self._sick.left > 0)

    def _may_any(self) -> bool:
        """Whether any attempt may begin in this process."""
        return (
            self.in_flight < self._max_in_flight
            and self._ledger.reachable
            # What is not confirmed comes again after a crash: that has a bound.
            and self._ledger.backlog < MAX_UNWRITTEN
            and not self._stopping
        )

    async def _freed(self, lane: Lane) -> None:
        """Returns when a place may have become free in a lane, or after a while."""
        lane.freed.clear()
        if lane.strained:
            self._sick.wait(lane)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_WAIT):
                await lane.freed.wait()

    def _start(self, lane: Lane, jobs: list[Job]) -> None:
        """Begins a request: of one delivery, in batch mode of several, each with its own record."""
        webhook, now = lane.webhook, time.time()
        for job in jobs:
            job.started, job.url = now, webhook.url
        attempt = len(jobs[0].delivery.attempts) + 1
        refused: dict[int, Unsendable] = {}
        build: BuildRequest
        if lane.batch is None:
            build = functools.partial(lane.builder.build, jobs[0].received, attempt)
        else:
            events = [job.received for job in jobs]
            build = functools.partial(lane.builder.build_batch, events, attempt, refused)
        unsent = self._receivers.send(
            lane.builder, build, webhook.timeout,
            lambda result: self._done(lane, jobs, refused, result),
        )  # fmt: skip
        if unsent is not None:
            for position, job in enumerate(jobs):
                why = refused.get(position)
                self._unsent(lane, job, unsent if why is None else _failure(why))
            return
        lane.in_flight += 1
        self.in_flight += len(jobs)
        if lane.strained:
            jobs[0].strained = True
            self._sick.take()
        for job in jobs:
            self._outcomes.submit(job, Status.IN_PROGRESS, webhook.timeout + LEASE_MARGIN)
            self._outcomes.triggered(job)

    def _unsent(self, lane: Lane, job: Job, why: Failure) -> None:
        """No request could be made: not the receiver's doing."""
        self.standing.untried(job.delivery)
        if why.error_type != ErrorType.SECRET_MISSING:
            self._outcomes.failed(
                lane, job, why.error_type, why.message, None, at_receiver=False, final=why.final
            )
            return
        missing = f"{why.error_type}: {why.message}"
        self._outcomes.submit(job, Status.PENDING, SECRET_WAIT, missing)
        if job.settle is None:
            self._outcomes.keep(job.received)
            self.wake(SECRET_WAIT)
        else:
            job.settle(Retry(SECRET_WAIT))

    def _done(
        self, lane: Lane, jobs: list[Job], refused: dict[int, Unsendable],
        result: Response | Failure,
    ) -> None:  # fmt: skip
        lane.in_flight -= 1
        lane.freed.set()
        self.in_flight -= len(jobs)
        if jobs[0].strained:
            self._sick.give_back()
        if self._stopped:
            return  # cut off by our own end: no failure, whoever takes it next tries it again
        self._judge(lane, jobs[0], result)  # once, whatever the request held
        for position, job in enumerate(jobs):
            why = refused.get(position)
            ended = result if why is None else _failure(why)
            self._ended(lane, job, ended, alone=len(jobs) == 1)
        self._go_on(lane)

    def _judge(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        """What an answer says of the receiver."""
        if isinstance(result, Response) and error_for_status(result.status) is None:
            self.standing.well(lane, job)
            self.standing.obey(lane, job, result)
        elif not _our_own(result):
            self.standing.ill(lane, job, result)

    def _ended(self, lane: Lane, job: Job, result: Response | Failure, *, alone: bool) -> None:
        """What an answer says of a delivery; ``alone``: the request was for no other."""
        if isinstance(result, Failure):
            if _our_own(result):
                self._unsent(lane, job, result)
                return
            self._outcomes.failed(
                lane, job, result.error_type, result.message, None, at_receiver=True
            )
            return
        error = error_for_status(result.status)
        if error is None:
            self._outcomes.succeeded(lane, job, result.status)
        else:
            self._outcomes.failed(
                lane, job, error, f"HTTP {result.status}", result, at_receiver=True, alone=alone
            )

    def _go_on(self, lane: Lane) -> None:
        """A place has become free."""
        if self.in_flight + 1 >= self._max_in_flight:
            self.backlogs.pass_on()
        if lane.strained and lane.backlog:
            self._sick.wait(lane)  # behind those whose turn it has not been yet
        else:
            self.backlogs.drain(lane)


def _our_own(result: Response | Failure) -> bool:
    return isinstance(result, Failure) and result.error_type in OWN_ERRORS


def _failure(why: Unsendable) -> Failure:
    return Failure(why.error_type, str(why), why.final)
