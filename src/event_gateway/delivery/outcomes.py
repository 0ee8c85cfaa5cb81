"""Outcomes: what follows an attempt. Its record, its lifecycle event, the delivery's next state."""

import asyncio
import random
import time
from collections.abc import Callable

from msgspec.structs import replace

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import (
    WEBHOOK_DELETED,
    Attempt,
    Cancelled,
    DeadLetter,
    Outcome,
    Retry,
    Status,
    Succeeded,
    decide,
)
from event_gateway.delivery.attempt_spans import end_attempt, exemplar_of, record_dead_letter
from event_gateway.delivery.dead_letters import DeadLetterWriter
from event_gateway.delivery.deadlines import Deadlines
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.failed_attempt import failed_attempt
from event_gateway.delivery.failure_lines import (
    log_dead_letter,
    log_failed_attempt,
    log_no_attempt,
)
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.response_directives import aborts, retry_after
from event_gateway.observability.lifecycle import (
    AttemptFailed,
    AttemptSucceeded,
    AttemptTriggered,
    Lifecycle,
)
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.state.ledger import Ledger
from event_gateway.transport.client import Response

LEASE_MARGIN = 10.0  # seconds beyond its timeout for which an attempt's delivery is leased
# Seconds until a retry, beside which the time that its record waits for others hardly counts.
LONG_DELAY = 0.5
BACKLOG_LEASE = 10.0  # seconds for which a delivery may wait in a backlog
DEAD_LETTER_RETRY = 10.0  # seconds until a dead letter that NATS did not confirm is written again
_SUCCEEDED = Succeeded()


class Outcomes:
    """Carries out decisions: the one place where an outcome becomes a state in the ledger.

    The delivery of a lifecycle event publishes no other: its record says that it is one, so that
    nothing in the event can.

    ``signal`` is notified when a delivery becomes due, ``cache_event`` gets the event that will be
    needed then.
    """

    def __init__(
        self,
        ledger: Ledger,
        dead_letters: DeadLetterWriter,
        lifecycle: Lifecycle,
        signal: DueSignal,
        *,
        deadlines: Deadlines,
        tracing: Tracing,
        cache_event: Callable[[Received], None],
    ) -> None:
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._lifecycle = lifecycle
        self._signal = signal
        self._deadlines = deadlines
        self._tracing = tracing
        self._cache_event = cache_event

    def attempt_started(self, job: Job, timeout: float) -> None:
        """Records that an attempt is in progress, for at most ``timeout`` seconds."""
        self.record(job, Status.IN_PROGRESS, timeout + LEASE_MARGIN, patient=True)
        if job.delivery.stream != LIFECYCLE:
            delivery, event_type = job.delivery, job.received.event.type
            number = len(delivery.attempts) + 1
            self._lifecycle.attempt(
                AttemptTriggered(delivery.webhook_id, delivery.event_id, event_type, number),
                job.started,
            )

    def attempt_succeeded(self, lane: Lane, job: Job, status_code: int) -> None:
        """Records that the receiver took the event."""
        now = time.time()
        delivery = job.delivery
        duration, latency = now - job.started, now - delivery.event_at
        duration_ms = round(duration * 1000)
        number = len(delivery.attempts) + 1
        attempt = Attempt(number, rfc3339(job.started), duration_ms, status_code)
        delivery.attempts = [*delivery.attempts, attempt]
        lane.metrics.delivered(duration, latency, now, exemplar_of(job))
        if job.span and self._tracing.tracer is not None:
            end_attempt(self._tracing.tracer, lane, job, attempt, now)
        if delivery.stream != LIFECYCLE:
            lane.tally.success(latency if _shows_lag(job, number) else 0.0)
            self._lifecycle.attempt(
                AttemptSucceeded(
                    delivery.webhook_id, delivery.event_id, job.received.event.type, number,
                    status_code, duration_ms, round(latency * 1000),
                ), now,
            )  # fmt: skip
        self._end(job, Status.SUCCEEDED, _SUCCEEDED, succeeded=True)

    def attempt_failed(
        self, lane: Lane, job: Job, error: str, message: str, response: Response | None,
        *, at_receiver: bool, final: bool = False, alone: bool = True,
    ) -> None:  # fmt: skip
        """Records a failed attempt and decides what follows.

        ``at_receiver``: a request was sent to the receiver; ``final``: another attempt would fail
        in the same way; ``alone``: the request held this event only.
        """
        delivery = job.delivery
        now = time.time()
        duration = now - job.started
        attempt = failed_attempt(job, duration, str(error), message, response)
        lane.metrics.attempt_failed(str(error), duration, now, exemplar_of(job))
        if delivery.stream != LIFECYCLE:
            age = now - delivery.event_at if _shows_lag(job, attempt.number) else 0.0
            lane.tally.failure(age, attempt.error_type or "")
        why_final = "another attempt would fail in the same way" if final else None
        requested: float | None = None
        if response is not None:
            # What a receiver says to a batch is not about each of its events.
            if alone and aborts(response.headers):
                why_final = "the receiver answered webhook-delivery: abort-message"
            if job.url == lane.webhook.url:  # a former receiver says nothing about the present one
                requested = retry_after(response.headers, now)
        attempts = [*delivery.attempts, attempt]
        outcome = decide(
            lane.webhook.retry_policy, attempts,
            self._deadlines.time_left_of(lane.webhook, delivery),
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            retry_after=requested,
            retry_on=lane.webhook.retry_on if alone else None,
            final=why_final,
        )  # fmt: skip
        next_at = rfc3339(now + outcome.delay) if isinstance(outcome, Retry) else None
        why = outcome.not_retried if isinstance(outcome, DeadLetter) else None
        attempt = replace(attempt, next_attempt_at=next_at, not_retried=why)
        attempts[-1] = attempt
        delivery.attempts = attempts
        if job.span and self._tracing.tracer is not None:
            end_attempt(self._tracing.tracer, lane, job, attempt, now)
        log_failed_attempt(lane.webhook, job, attempt, outcome)
        if delivery.stream != LIFECYCLE:
            self._lifecycle.attempt(
                AttemptFailed(
                    delivery.webhook_id, delivery.event_id, attempt.error_type,
                    attempt.error_message, attempt.number, attempt.status_code, next_at,
                ), now,
            )  # fmt: skip
        self.apply(lane, job, outcome, succeeded=False if at_receiver else None)

    def apply(
        self, lane: Lane | None, job: Job, outcome: Outcome, *, succeeded: bool | None = None
    ) -> None:
        """Records the state that an outcome leads to. ``lane`` is None where the webhook is
        deleted; ``succeeded``: how an attempt at the receiver has just ended."""
        if lane is None or (lane.deleted and isinstance(outcome, Retry)):
            outcome = Cancelled(WEBHOOK_DELETED)
        delivery = job.delivery
        last = delivery.attempts[-1] if delivery.attempts else None
        error = f"{last.error_type}: {last.error_message}" if last and last.error_type else ""
        match outcome:
            case Succeeded():
                raise AssertionError("attempt_succeeded records it")
            case Retry():
                self._postpone(job, Status.RETRYING, outcome, error, succeeded=succeeded)
            case Cancelled(reason):
                if lane is not None:
                    lane.metrics.outcome(Status.CANCELLED)
                self._end(job, Status.CANCELLED, outcome, reason, succeeded=succeeded)
            case DeadLetter(reason):
                assert lane is not None
                if reason not in error:  # it is not the last attempt that ended the delivery
                    error = f"{reason}, {error}" if error else reason

                def written(ours: bool) -> None:
                    if ours:
                        self._write_dead_letter(lane, job, outcome, error)
                    elif job.on_outcome is not None:
                        job.on_outcome(outcome)  # another process has leased or ended the delivery

                self.record(
                    job, Status.FAILED, DEAD_LETTER_RETRY, error,
                    succeeded=succeeded, written=written,
                )  # fmt: skip

    def postpone(self, job: Job, seconds: float, last_error: str) -> None:
        """No attempt was made of a delivery: it is due again in ``seconds``."""
        log_no_attempt(job, last_error, seconds)
        self._postpone(job, Status.PENDING, Retry(seconds), last_error)

    def enqueue(self, job: Job, *, patient: bool) -> None:
        """Puts a delivery into the queue, due at once. ``patient``: nothing waits for it there."""
        self._cache_event(job.received)
        self.record(job, Status.PENDING, 0.0, patient=patient)

    def record(
        self, job: Job, status: Status, wait: float | None, last_error: str = "",
        *, succeeded: bool | None = None, written: Callable[[bool], None] | None = None,
        patient: bool = False,
    ) -> None:  # fmt: skip
        """Records a state that is due in ``wait`` seconds (None: final). ``patient``: nothing waits
        for it, unless the webhook is ordered: then its next event does."""
        recorded, job.on_recorded = job.on_recorded, None
        queued = job.on_outcome is None
        self._ledger.submit(
            job.delivery, status, wait=wait if queued else None, last_error=last_error,
            fresh=recorded is not None, succeeded=succeeded,
            next_attempt=None if queued else wait, recorded=recorded, written=written,
            patient=queued and patient,
        )  # fmt: skip

    def _postpone(
        self, job: Job, status: Status, outcome: Retry, last_error: str,
        *, succeeded: bool | None = None,
    ) -> None:  # fmt: skip
        if job.on_outcome is not None:
            self.record(job, status, outcome.delay, last_error, succeeded=succeeded)
            job.on_outcome(outcome)
            return

        def written(_ours: bool) -> None:
            # The delay begins with the write: a look for it before that would find nothing.
            self._signal.due_in(outcome.delay)

        self.record(
            job, status, outcome.delay, last_error, succeeded=succeeded, written=written,
            patient=outcome.delay >= LONG_DELAY,
        )  # fmt: skip
        self._cache_event(job.received)

    def _end(
        self, job: Job, status: Status, outcome: Outcome, last_error: str = "",
        *, succeeded: bool | None = None,
    ) -> None:  # fmt: skip
        """Records a final state; ``on_outcome`` is called once that is written."""
        on_outcome, on_recorded = job.on_outcome, job.on_recorded
        if on_outcome is not None:

            def recorded() -> None:
                if on_recorded is not None:
                    on_recorded()
                on_outcome(outcome)

            job.on_recorded = recorded
        self.record(
            job, status, None, last_error, succeeded=succeeded, patient=status is Status.SUCCEEDED
        )

    def _write_dead_letter(self, lane: Lane, job: Job, outcome: DeadLetter, error: str) -> None:
        def not_confirmed() -> None:
            # A delivery in the queue comes back from there; an ordered webhook's does not.
            if job.on_outcome is not None:
                asyncio.get_running_loop().call_later(
                    DEAD_LETTER_RETRY, self._write_dead_letter, lane, job, outcome, error
                )

        start = time.time()
        self._dead_letters.write(
            job.received, job.delivery, lane.webhook, outcome.reason,
            on_confirmed=lambda seq: self._dead_letter_written(
                lane, job, outcome, error, seq, start
            ),
            on_failed=not_confirmed,
        )  # fmt: skip

    def _dead_letter_written(
        self, lane: Lane, job: Job, outcome: DeadLetter, error: str, seq: int, start: float
    ) -> None:
        delivery = job.delivery
        delivery.dead_letter = seq
        lane.metrics.outcome(Status.DEAD_LETTER)
        self._end(job, Status.DEAD_LETTER, outcome, error)
        log_dead_letter(job, outcome.reason, seq)
        if self._tracing.tracer is not None:
            record_dead_letter(self._tracing.tracer, job, outcome.reason, seq, start)
        if delivery.stream != LIFECYCLE:
            self._lifecycle.webhook("dead_lettered", delivery.webhook_id, {
                "event_id": delivery.event_id,
                "reason": outcome.reason,
                "attempts": len(delivery.attempts),
            })  # fmt: skip


def _shows_lag(job: Job, attempt: int) -> bool:
    """Whether no replay and no retry policy has delayed this attempt, so that the age of its event
    says how late deliveries are. An event of an ordered webhook delays those behind it with each of
    its attempts."""
    return not job.delivery.run_by and (attempt == 1 or job.on_outcome is not None)
