"""What follows an attempt: its record, what is told of it, and the delivery's next state."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import (
    Attempt,
    Cancelled,
    DeadLetter,
    Outcome,
    Retry,
    Status,
    Succeeded,
    decide,
)
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.lane import Job, Lane
from event_gateway.delivery.response_directives import aborts, retry_after
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.state.ledger import Ledger
from event_gateway.transport.client import Response

LEASE_MARGIN = 10.0  # seconds beyond the timeout for which an attempt's delivery is held
HOLD = 10.0  # seconds for which a delivery may wait in this process before its attempt
LETTER_AGAIN = 10.0  # seconds until a dead letter that was not confirmed is written again
KEPT_RESPONSE = 1024  # bytes of a failed attempt's response that are kept, and of its headers


class Outcomes:
    """Carries out what is decided. ``wake`` is told in how many seconds something becomes due,
    ``keep`` of the event that is wanted then;
    ``max_age`` (seconds) is that of webhooks that say nothing of it, or more than the log allows.
    """

    def __init__(
        self,
        ledger: Ledger,
        dead_letters: DeadLetters,
        lifecycle: Lifecycle,
        max_age: float,
    ) -> None:
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._lifecycle = lifecycle
        self.max_age = max_age
        self.wake: Callable[[float], None] = lambda seconds: None
        self.keep: Callable[[Received], None] = lambda received: None

    def set_max_age(self, seconds: float) -> None:
        """Uses this as the longest wait of deliveries from now on."""
        self.max_age = seconds

    def left(self, webhook: Webhook, event_at: float, latest: float = math.inf) -> float:
        """Seconds until the deadline of a delivery whose event came in at that time."""
        return min(event_at + self.longest(webhook), latest) - time.time()

    def longest(self, webhook: Webhook) -> float:
        """For how many seconds after its event came in a delivery may wait."""
        return min(webhook.retry_policy.max_age or self.max_age, self.max_age)

    def triggered(self, job: Job) -> None:
        """Tells that an attempt begins."""
        self._lifecycle.webhook("triggered", job.delivery.webhook_id, {
            "event_id": job.delivery.event_id,
            "event_type": job.received.event.type,
            "attempt": len(job.delivery.attempts) + 1,
        })  # fmt: skip

    def succeeded(self, lane: Lane, job: Job, status_code: int) -> None:
        """The receiver took it."""
        now = time.time()
        delivery = job.delivery
        duration, latency = now - job.started, now - delivery.event_at
        duration_ms = round(duration * 1000)
        number = len(delivery.attempts) + 1
        delivery.attempts = [
            *delivery.attempts, Attempt(number, rfc3339(job.started), duration_ms, status_code)
        ]  # fmt: skip
        lane.metrics.attempt(None, duration)
        lane.metrics.latency.observe(max(0.0, latency))
        self._lifecycle.webhook("succeeded", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "event_type": job.received.event.type,
            "attempt": number,
            "status_code": status_code,
            "duration_ms": duration_ms,
            "latency_ms": round(latency * 1000),
        })  # fmt: skip
        self.carry_out(lane, job, Succeeded(), succeeded=True)

    def failed(
        self, lane: Lane, job: Job, error: str, message: str, response: Response | None,
        *, at_receiver: bool, final: bool = False, alone: bool = True,
    ) -> None:  # fmt: skip
        """An attempt failed; ``at_receiver``: not for a reason of the gateway's own; ``final``:
        another one would fail in the same way; ``alone``: the request was for this event only."""
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
            # What the system says may hold what is no text, which could not be recorded.
            error_message=message[:500].encode("utf-8", "replace").decode(),
            response=body[:KEPT_RESPONSE].decode("utf-8", "replace") or None,
            response_headers=_kept(headers) or None,
        )
        lane.metrics.attempt(str(error), duration)
        outcome = decide(
            lane.webhook.retry_policy, [*delivery.attempts, attempt],
            self.left(lane.webhook, delivery.event_at, delivery.latest),
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            wanted=retry_after(headers, now), aborted=final or (alone and aborts(headers)),
        )  # fmt: skip
        next_at = rfc3339(now + outcome.delay) if isinstance(outcome, Retry) else None
        delivery.attempts = [*delivery.attempts, replace(attempt, next_attempt_at=next_at)]
        self._lifecycle.webhook("failed", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "error_type": attempt.error_type,
            "error_message": attempt.error_message,
            "retry_count": attempt.number,
            "status_code": status_code,
            "next_attempt_at": next_at,
        })  # fmt: skip
        self.carry_out(lane, job, outcome, succeeded=False if at_receiver else None)

    def carry_out(
        self, lane: Lane | None, job: Job, outcome: Outcome, *, succeeded: bool | None = None
    ) -> None:
        """The one place where a decision becomes a state. ``lane`` is None where the webhook is
        gone; ``succeeded``: how an attempt at the receiver has just ended."""
        if lane is None or (lane.gone and isinstance(outcome, Retry)):
            outcome = Cancelled("webhook deleted")
        delivery = job.delivery
        last = delivery.attempts[-1] if delivery.attempts else None
        error = f"{last.error_type}: {last.error_message}" if last and last.error_type else ""
        match outcome:
            case Succeeded():
                assert lane is not None
                lane.metrics.outcome(Status.SUCCEEDED)
                self._end(job, Status.SUCCEEDED, outcome, succeeded=succeeded)
            case Retry(delay):
                self.submit(job, Status.RETRYING, delay, error, succeeded=succeeded)
                if job.settle is None:
                    self.keep(job.received)
                    self.wake(delay)
                else:
                    job.settle(outcome)
            case Cancelled(reason):
                self._end(job, Status.CANCELLED, outcome, reason, succeeded=succeeded)
            case DeadLetter(reason):
                assert lane is not None
                if reason not in error:  # it did not end with its last attempt
                    error = f"{reason}, {error}" if error else reason

                def written(ours: bool) -> None:
                    if ours:
                        self._bury(lane, job, outcome, error)
                    elif job.settle is not None:
                        job.settle(outcome)  # another process has it by now, or has finished it

                self.submit(
                    job, Status.FAILED, LETTER_AGAIN, error, succeeded=succeeded, written=written
                )

    def submit(
        self, job: Job, status: Status, wait: float | None, last_error: str = "",
        *, succeeded: bool | None = None, written: Callable[[bool], None] | None = None,
    ) -> None:  # fmt: skip
        """Records a state that is due in ``wait`` seconds (None: final)."""
        recorded, job.recorded = job.recorded, None
        queued = job.settle is None
        self._ledger.submit(
            job.delivery, status, wait=wait if queued else None, last_error=last_error,
            fresh=recorded is not None, succeeded=succeeded,
            next_attempt=None if queued else wait, recorded=recorded, written=written,
        )  # fmt: skip

    def _end(
        self, job: Job, status: Status, outcome: Outcome, last_error: str = "",
        *, succeeded: bool | None = None,
    ) -> None:  # fmt: skip
        """A final state; who keeps the delivery out of the queue hears of it once it is written."""
        settle, before = job.settle, job.recorded
        if settle is not None:

            def written() -> None:
                if before is not None:
                    before()
                settle(outcome)

            job.recorded = written
        self.submit(job, status, None, last_error, succeeded=succeeded)

    def _bury(self, lane: Lane, job: Job, outcome: DeadLetter, error: str) -> None:
        def again() -> None:
            # What is in a queue comes back from there; this one does not.
            if job.settle is not None:
                loop = asyncio.get_running_loop()
                loop.call_later(LETTER_AGAIN, self._bury, lane, job, outcome, error)

        self._dead_letters.keep(
            job.received, job.delivery, lane.webhook, outcome.reason,
            lambda place: self._buried(lane, job, outcome, error, place), again,
        )  # fmt: skip

    def _buried(self, lane: Lane, job: Job, outcome: DeadLetter, error: str, place: int) -> None:
        delivery = job.delivery
        delivery.letter = place
        lane.metrics.outcome(Status.DEAD_LETTER)
        self._end(job, Status.DEAD_LETTER, outcome, error)
        self._lifecycle.webhook("dead_lettered", delivery.webhook_id, {
            "event_id": delivery.event_id,
            "reason": outcome.reason,
            "attempts": len(delivery.attempts),
        })  # fmt: skip


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """As many of a response's headers as have room, each of them whole."""
    kept, room = {}, KEPT_RESPONSE
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = value
    return kept
