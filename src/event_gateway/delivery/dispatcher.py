"""The dispatcher: starts attempts where lanes are free, and keeps lanes of the sick ones shut."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from event_gateway.core.delivery import (
    GONE,
    Cancelled,
    DeadLetter,
    Delivery,
    Outcome,
    Retry,
    Status,
    error_for_status,
)
from event_gateway.core.errors import ErrorType
from event_gateway.core.event import Event, Received
from event_gateway.core.units import format_duration
from event_gateway.core.webhook import Webhook
from event_gateway.delivery import trial
from event_gateway.delivery.advice import disables
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.lane import BACKLOG, SLOW_STATUSES, Job, Lane
from event_gateway.delivery.outcomes import HOLD, Outcomes
from event_gateway.delivery.request import AuthError, RequestBuilder, SecretMissing
from event_gateway.delivery.secrets import Secrets
from event_gateway.delivery.sender import Failure, Response, Sender
from event_gateway.observability.metrics import Metrics
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 4096
MAX_STRAINED = MAX_IN_FLIGHT // 2  # of them, for lanes whose last attempt failed
LEASE_MARGIN = 10.0  # seconds beyond the timeout for which an attempt's delivery is held
SECRET_WAIT = 15.0  # seconds until a missing secret is looked for again
FULL_WAIT = 0.01  # seconds until an attempt that is kept out of the queue is looked at again:
IDLE_WAIT = 0.25  # where its lane is full, and where it may not be delivered to
SOON = 0.005  # seconds until what was submitted is written
SLOW_ERRORS = frozenset((ErrorType.CONNECT_TIMEOUT, ErrorType.RESPONSE_TIMEOUT))


class Dispatcher:
    """All lanes of this process. ``wake`` is told in how many seconds something becomes due;
    ``disable`` of a webhook that is to be disabled, and why."""

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        sender: Sender,
        outcomes: Outcomes,
        dead_letters: DeadLetters,
        metrics: Metrics,
        secrets: Secrets,
        installation_key: bytes,
        version: str,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._sender = sender
        self._outcomes = outcomes
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._secrets = secrets
        self._version = version
        self._installation_key = installation_key
        self._strained = 0
        self._backlogged: set[Lane] = set()
        self._place = (0, 1)
        self._stopping = False
        self._stopped = False
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.wake: Callable[[float], None] = lambda seconds: None
        self.disable: Callable[[Webhook, str], None] = lambda webhook, reason: None
        ledger.heard = self._heard

    def put(self, webhook: Webhook) -> None:
        """Takes up a webhook, or its change; its limit and its backlog stay."""
        builder = RequestBuilder(webhook, self._secrets, self._installation_key, self._version)
        lane = self.lanes.get(webhook.id)
        was_active = True
        if lane is None:
            lane = Lane(webhook, builder, self._metrics.webhook(webhook.id))
            self.lanes[webhook.id] = lane
        else:
            was_active = lane.webhook.active
            if lane.webhook.url != webhook.url:
                lane.failures, lane.shut = 0, False
                self._ledger.change_lane(webhook.id, "reset")
            lane.webhook, lane.builder, lane.halted = webhook, builder, False
        lane.divide(*self._place)
        if not webhook.active:
            self._ledger.change_lane(webhook.id, "pause")
            self._give_back(lane)
        elif not was_active:
            self._ledger.change_lane(webhook.id, "resume")
            lane.failures, lane.queued = 0, True
            self.wake(SOON)

    def remove(self, webhook_id: str) -> None:
        """Drops a webhook: what waits here for it is cancelled."""
        lane = self.lanes.pop(webhook_id, None)
        if lane is not None:
            lane.gone = True
            self._backlogged.discard(lane)
            for job in lane.backlog:
                self._outcomes.carry_out(None, job, Cancelled("webhook deleted"))

    def divide(self, place: int, processes: int) -> None:
        """This process is the ``place``-th of so many that share each webhook's concurrency."""
        if self._place != (place, processes):
            self._place = (place, processes)
            for lane in self.lanes.values():
                lane.divide(place, processes)

    def learn(self, shut: frozenset[str]) -> None:
        """Takes up which breakers others, or this process before its end, have opened.

        That one has closed is heard with the first delivery that is written for it.
        """
        self._heard([*shut], shut, {})

    def reconcile(self, paused: frozenset[str]) -> None:
        """Corrects which queues are paused, where a write of that was lost."""
        for lane in self.lanes.values():
            if lane.webhook.active == (lane.webhook.id in paused):
                what = "resume" if lane.webhook.active else "pause"
                self._ledger.change_lane(lane.webhook.id, what)

    def dispatch(self, received: Received, webhook: Webhook, recorded: Callable[[], None]) -> None:
        """Takes a new delivery; ``recorded`` is called once the ledger has a state for it."""
        event = received.event
        delivery = Delivery(
            webhook.id, event.id, event.source, received.stream, received.seq, self._ledger.token()
        )
        job = Job(delivery, received, recorded)
        lane = self.lanes.get(webhook.id)
        if lane is None:
            self._outcomes.carry_out(None, job, Cancelled("webhook deleted"))
            return
        # What waits in the ledger is older; and with a rate, who takes from there is counted.
        in_queue = lane.queued or lane.webhook.rate_limit is not None
        if not in_queue and not lane.backlog and self._may_start(lane):
            self._start(lane, job)
        elif not in_queue and lane.takes and len(lane.backlog) < BACKLOG and not self._stopping:
            delivery.held_until = asyncio.get_running_loop().time() + HOLD + LEASE_MARGIN
            self._hold(lane, job)
            self._outcomes.submit(job, Status.PENDING, HOLD + LEASE_MARGIN)
        else:
            self._queue(lane, job)

    def resume(self, delivery: Delivery, received: Received | None) -> None:
        """Carries on with a delivery that was taken; ``received`` is None where its event is
        lost."""
        lane = self.lanes.get(delivery.webhook_id)
        if received is None:
            event = Event(delivery.event_id, delivery.source, "unknown")
            at = delivery.event_at or time.time()
            job = Job(delivery, Received(event, delivery.stream, delivery.seq, at))
            outcome: Outcome | None = DeadLetter(ErrorType.EVENT_LOST)
        else:
            job = Job(delivery, received)
            outcome = self._foregone(lane, delivery, received)
        if outcome is not None or lane is None:
            self._untried(delivery)
            self._outcomes.carry_out(lane, job, outcome or Cancelled("webhook deleted"))
        elif delivery.probe or self._may_start(lane):
            self._start(lane, job)
        elif lane.takes:
            self._hold(lane, job)
        else:
            lane.queued = True
            self._outcomes.submit(job, Status.PENDING, 0.0)

    async def begin(self, job: Job) -> None:
        """Begins an attempt of a delivery that is kept out of the queue, once it may begin.

        Where none is to be made any more, carries out what becomes of it instead. Raises what
        StateError names.
        """
        delivery = job.delivery
        while True:
            lane = self.lanes.get(delivery.webhook_id)
            outcome = self._foregone(lane, delivery, job.received)
            if outcome is not None or lane is None:
                self._outcomes.carry_out(lane, job, outcome or Cancelled("webhook deleted"))
                return
            wait = IDLE_WAIT
            if lane.webhook.active and not lane.halted and self._has_place(lane):
                if not lane.shut and lane.webhook.rate_limit is None:
                    break
                admitted, delivery.probe, wait = await self._queues.admit(
                    lane.webhook, delivery.token, lane.webhook.timeout + LEASE_MARGIN
                )
                if admitted:
                    break
            elif lane.webhook.active:
                wait = FULL_WAIT
            await asyncio.sleep(min(wait, IDLE_WAIT))
        self._start(lane, job)

    async def attempt(self, webhook: Webhook, event: Event | None) -> Any:
        """Makes a trial of a webhook with that event, or one made up; gives what came of it."""
        builder = RequestBuilder(webhook, self._secrets, self._installation_key, self._version)
        return await trial.attempt(builder, self._sender, webhook, event or trial.sample(webhook))

    def kick(self) -> None:
        """Starts what can start now, in all lanes."""
        for lane in list(self._backlogged):
            self._drain(lane)

    async def stop(self, timeout: float) -> None:
        """Starts nothing more, gives back what waits, and lets what runs finish in time."""
        self._stopping = True
        for lane in list(self._backlogged):
            self._give_back(lane)
        deadline = time.monotonic() + timeout
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self.in_flight:
            log.warning("attempts cut off; they stay in progress until their lease ends",
                        count=self.in_flight)  # fmt: skip
        await self._dead_letters.stop(max(0.5, deadline - time.monotonic()))
        self._stopped = True

    def _foregone(
        self, lane: Lane | None, delivery: Delivery, received: Received
    ) -> Outcome | None:
        """What becomes of a delivery without an attempt; None where it is to be tried."""
        if lane is None:
            return Cancelled("webhook deleted")
        if delivery.run == 1 and not lane.webhook.takes(delivery.stream, delivery.seq):
            return Cancelled("webhook deleted")  # it was for a webhook that had this id before
        if delivery.failed:
            reason = delivery.attempts[-1].error_type if delivery.attempts else None
            return DeadLetter(reason or ErrorType.SERVER_ERROR)
        if self._outcomes.left(lane.webhook, received.time) <= 0:
            return DeadLetter(ErrorType.EXPIRED)
        return None

    def _may_start(self, lane: Lane) -> bool:
        return lane.takes and self._has_place(lane)

    def _has_place(self, lane: Lane) -> bool:
        return (
            lane.in_flight < int(lane.limit)
            and self.in_flight < MAX_IN_FLIGHT
            and (not lane.failures or self._strained < MAX_STRAINED)
            and self._ledger.reachable
            and not self._stopping
        )

    def _start(self, lane: Lane, job: Job) -> None:
        delivery, webhook = job.delivery, lane.webhook
        job.started, job.url = time.time(), webhook.url
        try:
            head, body = lane.builder.build(job.received, len(delivery.attempts) + 1)
        except SecretMissing as missing:
            self._untried(delivery)
            self._outcomes.submit(job, Status.PENDING, SECRET_WAIT, f"SecretMissing: {missing}")
            if job.settle is None:
                self.wake(SECRET_WAIT)
            else:
                job.settle(Retry(SECRET_WAIT))
            return
        except AuthError as error:
            self._unsent(lane, job, ErrorType.AUTH_ERROR, str(error))
            return
        except Exception as error:  # whatever a transformation does wrong hurts only its own event
            log.exception("transformation failed", webhook=webhook.id, event=delivery.event_id)
            self._unsent(lane, job, ErrorType.TRANSFORMATION_ERROR, repr(error))
            return
        lane.in_flight += 1
        self.in_flight += 1
        job.strained = lane.failures > 0
        self._strained += job.strained
        self._outcomes.submit(job, Status.IN_PROGRESS, webhook.timeout + LEASE_MARGIN)
        self._outcomes.triggered(job)
        self._sender.post(
            lane.builder.target, head, body, webhook.timeout,
            lambda result: self._done(lane, job, result),
        )  # fmt: skip

    def _unsent(self, lane: Lane, job: Job, error: ErrorType, message: str) -> None:
        self._untried(job.delivery)
        self._outcomes.failed(lane, job, error, message, None, at_receiver=False)

    def _untried(self, delivery: Delivery) -> None:
        """What was to be the breaker's probe says nothing of the receiver: another is to be."""
        if delivery.probe:
            self._ledger.change_lane(delivery.webhook_id, "release", token=delivery.token)
            self.wake(SOON)

    def _done(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        lane.in_flight -= 1
        self.in_flight -= 1
        self._strained -= job.strained
        if self._stopped:
            return  # cut off by our own end: no failure, whoever takes it next tries it again
        if isinstance(result, Failure):
            if result.error_type in SLOW_ERRORS:
                lane.shrink()
            self._ill(lane, job)
            self._outcomes.failed(
                lane, job, result.error_type, result.message, None, at_receiver=True
            )
        else:
            self._answered(lane, job, result)
        self._drain(lane)

    def _answered(self, lane: Lane, job: Job, response: Response) -> None:
        status = response.status
        error = error_for_status(status)
        if error is None:
            self._well(lane, job)
            self._outcomes.succeeded(lane, job, status)
        else:
            if status in SLOW_STATUSES:
                lane.shrink()
            self._ill(lane, job)
            self._outcomes.failed(lane, job, error, f"HTTP {status}", response, at_receiver=True)
        if status == GONE or disables(response.headers):
            said = "webhook-delivery: disable" if status != GONE else "410 Gone"
            self._halt(lane, job.url, f"the receiver answered {said}")

    def _well(self, lane: Lane, job: Job) -> None:
        lane.failures = 0
        lane.grow()
        if job.delivery.probe:
            log.info("receiver is back, its breaker closes", webhook=lane.webhook.id)
            self._ledger.change_lane(lane.webhook.id, "close", token=job.delivery.token)
            self._reopen(lane)

    def _ill(self, lane: Lane, job: Job) -> None:
        breaker, webhook_id = lane.webhook.circuit_breaker, lane.webhook.id
        lane.failures += 1
        if job.delivery.probe:
            self._ledger.change_lane(webhook_id, "open", breaker.open_for, job.delivery.token)
        elif not lane.shut and lane.failures >= breaker.failure_threshold and not lane.gone:
            log.warning("receiver only fails, its breaker opens", webhook=webhook_id,
                        seconds=breaker.open_for)  # fmt: skip
            self._ledger.change_lane(webhook_id, "open", breaker.open_for)
            lane.shut = True
            self._give_back(lane)
        else:
            return
        self.wake(breaker.open_for + SOON)

    def _reopen(self, lane: Lane) -> None:
        lane.shut, lane.failures, lane.queued = False, 0, True
        self.wake(SOON)

    def _halt(self, lane: Lane, url: str, reason: str) -> None:
        if lane.webhook.url == url and lane.webhook.active and not (lane.halted or lane.gone):
            lane.halted = True
            self._give_back(lane)
            self.disable(lane.webhook, reason)

    def _heard(
        self, webhooks: Sequence[str], shut: frozenset[str], failing: Mapping[str, float]
    ) -> None:
        """What the ledger says of lanes, which other processes may have shut or opened."""
        for webhook_id in webhooks:
            lane = self.lanes.get(webhook_id)
            if lane is None or lane.shut == (webhook_id in shut):
                continue
            if lane.shut:
                self._reopen(lane)
            else:
                lane.shut = True
                self._give_back(lane)
        for webhook_id, seconds in failing.items():
            lane = self.lanes.get(webhook_id)
            if lane is not None and seconds >= lane.webhook.disable_after:
                reason = f"nothing but failures for {format_duration(int(seconds))}"
                self._halt(lane, lane.webhook.url, reason)

    def _hold(self, lane: Lane, job: Job) -> None:
        lane.backlog.append(job)
        self._backlogged.add(lane)

    def _queue(self, lane: Lane, job: Job) -> None:
        """It waits in the ledger; ``queued`` until the due loop finds that nothing more does."""
        recorded = job.recorded or (lambda: None)
        lane.queued = True
        lane.overflows += 1
        lane.unwritten += 1

        def written() -> None:
            lane.unwritten -= 1
            recorded()

        job.recorded = written
        self._outcomes.submit(job, Status.PENDING, 0.0)
        if lane.room:
            self.wake(SOON)

    def _give_back(self, lane: Lane) -> None:
        """What waits here waits in the ledger's queue again."""
        self._backlogged.discard(lane)
        while lane.backlog:
            lane.queued = True
            self._outcomes.submit(lane.backlog.popleft(), Status.PENDING, 0.0)

    def _drain(self, lane: Lane) -> None:
        now = asyncio.get_running_loop().time()
        while lane.backlog and self._may_start(lane):
            job = lane.backlog.popleft()
            if now < job.delivery.held_until - LEASE_MARGIN:
                self._start(lane, job)
            # else: its hold may end before the start is recorded; the due loop takes it up then
        if not lane.backlog:
            self._backlogged.discard(lane)
        if lane.queued and len(lane.backlog) <= BACKLOG // 4:
            self.wake(0.0)
