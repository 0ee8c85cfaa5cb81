"""The dispatcher: starts attempts where lanes are free, and carries out what is decided of each."""

import asyncio
import random
import time
from collections.abc import Callable

import structlog

from event_gateway.core.delivery import (
    Attempt,
    Cancelled,
    DeadLetter,
    Delivery,
    Outcome,
    Retry,
    Status,
    Succeeded,
    decide,
    error_for_status,
)
from event_gateway.core.errors import ErrorType
from event_gateway.core.event import Event, Received
from event_gateway.core.times import rfc3339
from event_gateway.core.webhook import Webhook
from event_gateway.delivery.advice import aborts, retry_after
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.lane import BACKLOG, SLOW_STATUSES, Job, Lane
from event_gateway.delivery.request import AuthError, RequestBuilder, SecretMissing
from event_gateway.delivery.secrets import Secrets
from event_gateway.delivery.sender import Failure, Response, Sender
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.observability.metrics import Metrics
from event_gateway.state.ledger import Ledger

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 4096
LEASE_MARGIN = 10.0  # seconds beyond the timeout for which an attempt's delivery is held
HOLD = 10.0  # seconds for which a delivery may wait in this process before its attempt
SECRET_WAIT = 15.0  # seconds until a missing secret is looked for again
KEPT_RESPONSE = 512  # bytes of a failed attempt's response that are kept
SLOW_ERRORS = frozenset((ErrorType.CONNECT_TIMEOUT, ErrorType.RESPONSE_TIMEOUT))


class Dispatcher:
    """All lanes of this process. ``wake`` is told in how many seconds something becomes due."""

    def __init__(
        self,
        ledger: Ledger,
        sender: Sender,
        dead_letters: DeadLetters,
        lifecycle: Lifecycle,
        metrics: Metrics,
        secrets: Secrets,
        installation_key: bytes,
        version: str,
        max_age: float,
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._dead_letters = dead_letters
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._secrets = secrets
        self._version = version
        self.max_age = max_age  # of webhooks that say nothing of it, or more than the log allows
        self._installation_key = installation_key
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.wake: Callable[[float], None] = lambda seconds: None
        self._stopping = False
        self._stopped = False

    def put(self, webhook: Webhook) -> None:
        """Takes up a webhook, or its change; its limit and its backlog stay."""
        builder = RequestBuilder(webhook, self._secrets, self._installation_key, self._version)
        lane = self.lanes.get(webhook.id)
        if lane is None:
            self.lanes[webhook.id] = Lane(webhook, builder, self._metrics.webhook(webhook.id))
        else:
            lane.webhook, lane.builder = webhook, builder
            lane.limit = min(lane.limit, float(webhook.concurrency))

    def remove(self, webhook_id: str) -> None:
        """Drops a webhook: what waits here for it is cancelled."""
        lane = self.lanes.pop(webhook_id, None)
        for job in lane.backlog if lane else ():
            self._carry_out(None, job, Cancelled("webhook deleted"))

    def dispatch(self, received: Received, webhook: Webhook, recorded: Callable[[], None]) -> None:
        """Takes a new delivery; ``recorded`` is called once the ledger has a state for it."""
        event = received.event
        delivery = Delivery(
            webhook.id, event.id, event.source, received.stream, received.seq, self._ledger.token()
        )
        job = Job(delivery, received, recorded)
        lane = self.lanes.get(webhook.id)
        if lane is None:
            self._carry_out(None, job, Cancelled("webhook deleted"))
        elif self._may_start(lane) and not lane.backlog:
            self._start(lane, job)
        elif lane.free and not self._stopping:
            delivery.held_until = asyncio.get_running_loop().time() + HOLD + LEASE_MARGIN
            lane.backlog.append(job)
            self._submit(job, Status.PENDING, HOLD + LEASE_MARGIN)
        else:
            lane.queued = True
            self._submit(job, Status.PENDING, 0.0)

    def resume(self, delivery: Delivery, received: Received | None) -> None:
        """Carries on with a delivery that was due; ``received`` is None where its event is lost."""
        lane = self.lanes.get(delivery.webhook_id)
        if received is None:
            event = Event(delivery.event_id, delivery.source, "unknown")
            lost = Received(event, delivery.stream, delivery.seq, time.time())
            self._carry_out(lane, Job(delivery, lost), DeadLetter(ErrorType.EVENT_LOST))
            return
        job = Job(delivery, received)
        if lane is None:
            self._carry_out(None, job, Cancelled("webhook deleted"))
        elif delivery.run == 1 and not lane.webhook.takes(delivery.stream, delivery.seq):
            # It was for a webhook that had this id before.
            self._carry_out(lane, job, Cancelled("webhook deleted"))
        elif delivery.failed:
            reason = delivery.attempts[-1].error_type if delivery.attempts else None
            self._carry_out(lane, job, DeadLetter(reason or ErrorType.SERVER_ERROR))
        elif self._left(lane, received) <= 0:
            self._carry_out(lane, job, DeadLetter(ErrorType.EXPIRED))
        elif self._may_start(lane):
            self._start(lane, job)
        else:
            lane.backlog.append(job)

    def kick(self) -> None:
        """Starts what can start now, in all lanes."""
        for lane in self.lanes.values():
            self._drain(lane)

    async def stop(self, timeout: float) -> None:
        """Starts nothing more, gives back what waits, and lets what runs finish in time."""
        self._stopping = True
        for lane in self.lanes.values():
            while lane.backlog:
                self._submit(lane.backlog.popleft(), Status.PENDING, 0.0)
        deadline = time.monotonic() + timeout
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self.in_flight:
            log.warning("attempts cut off; they stay in progress until their lease ends",
                        count=self.in_flight)  # fmt: skip
        await self._dead_letters.stop(max(0.5, deadline - time.monotonic()))
        self._stopped = True

    def _left(self, lane: Lane, received: Received) -> float:
        """Seconds until the deadline of a delivery of this event."""
        max_age = lane.webhook.retry_policy.max_age
        if max_age is None or max_age > self.max_age:
            max_age = self.max_age
        return received.time + max_age - time.time()

    def _may_start(self, lane: Lane) -> bool:
        return (
            lane.open
            and lane.webhook.enabled
            and self.in_flight < MAX_IN_FLIGHT
            and self._ledger.reachable
            and not self._stopping
        )

    def _start(self, lane: Lane, job: Job) -> None:
        delivery, webhook = job.delivery, lane.webhook
        number = len(delivery.attempts) + 1
        job.started = time.time()
        try:
            head, body = lane.builder.build(job.received, number)
        except SecretMissing as missing:
            self._submit(job, Status.PENDING, SECRET_WAIT, f"SecretMissing: {missing}")
            self.wake(SECRET_WAIT)
            return
        except AuthError as error:
            self._failed(lane, job, ErrorType.AUTH_ERROR, str(error), None)
            return
        except Exception as error:  # whatever a transformation does wrong hurts only its own event
            log.exception("transformation failed", webhook=webhook.id, event=delivery.event_id)
            self._failed(lane, job, ErrorType.TRANSFORMATION_ERROR, repr(error), None)
            return
        lane.in_flight += 1
        self.in_flight += 1
        self._submit(job, Status.IN_PROGRESS, webhook.timeout + LEASE_MARGIN)
        self._lifecycle.webhook("triggered", webhook.id, {
            "event_id": delivery.event_id,
            "event_type": job.received.event.type,
            "attempt": number,
        })  # fmt: skip
        self._sender.post(
            lane.builder.target, head, body, webhook.timeout,
            lambda result: self._done(lane, job, result),
        )  # fmt: skip

    def _done(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        lane.in_flight -= 1
        self.in_flight -= 1
        if self._stopped:
            return  # cut off by our own end: no failure, whoever takes it next tries it again
        if isinstance(result, Failure):
            if result.error_type in SLOW_ERRORS:
                lane.shrink()
            self._failed(lane, job, result.error_type, result.message, None)
        elif (error := error_for_status(result.status)) is not None:
            if result.status in SLOW_STATUSES:
                lane.shrink()
            self._failed(lane, job, error, f"HTTP {result.status}", result)
        else:
            lane.grow()
            self._succeeded(lane, job, result.status)
        self._drain(lane)

    def _succeeded(self, lane: Lane, job: Job, status_code: int) -> None:
        now = time.time()
        duration, latency = now - job.started, now - job.received.time
        delivery = job.delivery
        number = len(delivery.attempts) + 1
        delivery.attempts = [
            *delivery.attempts,
            Attempt(number, rfc3339(job.started), round(duration * 1000), status_code),
        ]
        lane.metrics.attempt(None, duration)
        lane.metrics.latency.observe(max(0.0, latency))
        self._lifecycle.webhook("succeeded", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "event_type": job.received.event.type,
            "attempt": number,
            "status_code": status_code,
            "duration_ms": round(duration * 1000),
            "latency_ms": round(latency * 1000),
        })  # fmt: skip
        self._carry_out(lane, job, Succeeded())

    def _failed(
        self, lane: Lane, job: Job, error: str, message: str, response: Response | None
    ) -> None:
        delivery = job.delivery
        now = time.time()
        duration = now - job.started
        headers = response.headers if response else {}
        body = response.body if response else b""
        status_code = response.status if response else None
        attempt = Attempt(
            number=len(delivery.attempts) + 1,
            time=rfc3339(job.started),
            duration_ms=round(duration * 1000),
            status_code=status_code,
            error_type=str(error),
            error_message=message[:500],
            response=body[:KEPT_RESPONSE].decode("utf-8", "replace") or None,
        )
        delivery.attempts = [*delivery.attempts, attempt]
        lane.metrics.attempt(str(error), duration)
        outcome = decide(
            lane.webhook.retry_policy, delivery.attempts, self._left(lane, job.received),
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            wanted=retry_after(headers, now), aborted=aborts(headers),
        )  # fmt: skip
        next_at = rfc3339(now + outcome.delay) if isinstance(outcome, Retry) else None
        self._lifecycle.webhook("failed", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "error_type": attempt.error_type,
            "error_message": attempt.error_message,
            "retry_count": attempt.number,
            "status_code": status_code,
            "next_attempt_at": next_at,
        })  # fmt: skip
        self._carry_out(lane, job, outcome)

    def _carry_out(self, lane: Lane | None, job: Job, outcome: Outcome) -> None:
        """The one place where a decision becomes a state."""
        gone = lane is None or job.delivery.webhook_id not in self.lanes
        if lane is None or (gone and isinstance(outcome, Retry)):
            outcome = Cancelled("webhook deleted")
        delivery = job.delivery
        last = delivery.attempts[-1] if delivery.attempts else None
        error = f"{last.error_type}: {last.error_message}" if last and last.error_type else ""
        match outcome:
            case Succeeded():
                self._metrics.webhook(delivery.webhook_id).outcome(Status.SUCCEEDED)
                self._submit(job, Status.SUCCEEDED, None)
            case Retry(delay):
                self._submit(job, Status.RETRYING, delay, error)
                self.wake(delay)
            case Cancelled(reason):
                self._submit(job, Status.CANCELLED, None, reason)
            case DeadLetter(reason):
                self._submit(job, Status.FAILED, HOLD, error or reason)
                assert lane is not None
                self._dead_letters.keep(job.received, delivery, lane.webhook, reason,
                                        lambda: self._buried(lane, job, reason, error))  # fmt: skip

    def _buried(self, lane: Lane, job: Job, reason: str, error: str) -> None:
        delivery = job.delivery
        lane.metrics.outcome(Status.DEAD_LETTER)
        self._submit(job, Status.DEAD_LETTER, None, error or reason)
        self._lifecycle.webhook("dead_lettered", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "reason": reason,
            "attempts": len(delivery.attempts),
        })  # fmt: skip

    def _submit(self, job: Job, status: Status, wait: float | None, last_error: str = "") -> None:
        recorded, job.recorded = job.recorded, None
        self._ledger.submit(
            job.delivery, status, wait=wait, last_error=last_error,
            fresh=recorded is not None, recorded=recorded,
        )  # fmt: skip

    def _drain(self, lane: Lane) -> None:
        now = asyncio.get_running_loop().time()
        while lane.backlog and self._may_start(lane):
            job = lane.backlog.popleft()
            if now < job.delivery.held_until - LEASE_MARGIN:
                self._start(lane, job)
            # else: its hold may end before the start is recorded; the due loop takes it up then
        if lane.queued and len(lane.backlog) <= BACKLOG // 4:
            lane.queued = False
            self.wake(0.0)
