"""Attempts: starts requests to receivers, and bounds how many are in flight in this process."""

import time
from collections.abc import Callable

from event_gateway.core.webhook.delivery import error_for_status
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.delivery.attempt_spans import begin_attempt, record_request
from event_gateway.delivery.circuit_breaker import release_probe
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import Outcomes
from event_gateway.delivery.pacing import Pacing
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.request.receiver_client import ReceiverCall, ReceiverClient
from event_gateway.request.request import Request, Unsendable
from event_gateway.state.ledger import Ledger
from event_gateway.transport.client import Failure, Response

MAX_BYTES = 128 * 1024 * 1024  # of the events' data of the deliveries in flight in this process
MAX_UNRECORDED = 4096  # states that the ledger has yet to confirm, beyond which no attempt starts
SECRET_WAIT = 15.0  # seconds until the next look for a missing secret

# Errors of the gateway itself: no request was sent to the receiver.
OWN_ERRORS = frozenset((AttemptErrorType.TRANSFORMATION_ERROR, AttemptErrorType.SECRET_MISSING))


class _Attempt(ReceiverCall):
    """The request of one delivery, in batch mode of several. ``left_out``: why events have no place
    in it, by the positions of their jobs."""

    __slots__ = ("batched", "jobs", "lane", "left_out", "number", "on_end", "traceparent")

    def __init__(
        self, lane: Lane, jobs: list[Job], traceparent: str,
        on_end: Callable[["_Attempt", Response | Failure], None],
    ) -> None:  # fmt: skip
        self.builder = lane.builder
        self.timeout = lane.webhook.timeout
        self.lane = lane
        self.batched = lane.batch is not None  # now: the webhook may change while it waits
        self.jobs = jobs
        self.left_out: dict[int, Unsendable] = {}
        self.number = len(jobs[0].delivery.attempts) + 1
        self.traceparent = traceparent
        self.on_end = on_end

    def build(self) -> Request:
        first = self.jobs[0]
        if not self.batched:
            return self.builder.build(first.received, self.number, first.span)
        events = [job.received for job in self.jobs]
        return self.builder.build_batch(
            events, self.number, self.left_out, first.span, self.traceparent
        )

    def done(self, result: Response | Failure) -> None:
        self.on_end(self, result)


class Attempts:
    """The requests of this process, of at most ``max_in_flight`` deliveries at a time.

    Calls ``on_result(lane, job, result)`` once for each request that has ended, with its first
    job, and ``on_slot_freed(lane)`` once the result is recorded.
    """

    def __init__(
        self,
        ledger: Ledger,
        receivers: ReceiverClient,
        outcomes: Outcomes,
        pacing: Pacing,
        *,
        max_in_flight: int,
        tracing: Tracing,
        on_result: Callable[[Lane, Job, Response | Failure], None],
        on_slot_freed: Callable[[Lane], None],
    ) -> None:
        self._ledger = ledger
        self._receivers = receivers
        self._outcomes = outcomes
        self._pacing = pacing
        self._max_in_flight = max_in_flight
        self._tracing = tracing
        self._on_result = on_result
        self._on_slot_freed = on_slot_freed
        self._stopping = False
        self._cut_off = False
        self.in_flight = 0
        self._bytes = 0  # of the events' data of the deliveries in flight

    @property
    def nearly_full(self) -> bool:
        """Whether this process has hardly any room left, so that lanes may wait for it."""
        return self.in_flight + 1 >= self._max_in_flight or self._bytes >= MAX_BYTES // 2

    def may_start(self) -> bool:
        """Whether any attempt may start in this process."""
        return (
            self.in_flight < self._max_in_flight
            and self._bytes < MAX_BYTES
            # After a crash, what is not confirmed is delivered again: that has a bound.
            and self._ledger.takes(MAX_UNRECORDED)
            and not self._stopping
        )

    def has_slot(self, lane: Lane) -> bool:
        """Whether the lane and this process have a slot for an attempt of the lane."""
        return (
            lane.in_flight + 1 <= lane.limit
            and (not lane.failing or self._pacing.available > 0)
            and self.may_start()
        )

    def can_start(self, lane: Lane) -> bool:
        """Whether an attempt of the lane may start now."""
        # The limit first: most deliveries of a burst fail this check. The conditions of `has_slot`
        # are repeated here, as each call costs time for each delivery.
        return (
            lane.in_flight + 1 <= lane.limit
            and lane.accepts
            and (not lane.failing or self._pacing.available > 0)
            and self.may_start()
        )

    def start(self, lane: Lane, jobs: list[Job]) -> None:
        """Starts a request: of one delivery, in batch mode of several, each with its own record."""
        webhook, now = lane.webhook, time.time()
        for job in jobs:
            job.started, job.url = now, webhook.url
        tracer = self._tracing.tracer
        traceparent = "" if tracer is None else begin_attempt(tracer, jobs)
        attempt = _Attempt(lane, jobs, traceparent, self._ended)
        unsent = self._receivers.send(attempt)
        if unsent is not None:
            for position, job in enumerate(jobs):
                why = attempt.left_out.get(position)
                self._not_sent(lane, job, unsent if why is None else _failure(why))
            return
        lane.attempt_started()
        self.in_flight += len(jobs)
        for job in jobs:
            self._bytes += len(job.received.event.data)
        if lane.failing:
            jobs[0].paced = True
            self._pacing.take()
        for job in jobs:
            self._outcomes.attempt_started(job, webhook.timeout)

    def stop(self) -> None:
        """Starts nothing more."""
        self._stopping = True

    def cut_off(self) -> None:
        """Records nothing more of the attempts that are left: the process that leases their
        deliveries next attempts them again."""
        self._cut_off = True

    def _ended(self, attempt: _Attempt, result: Response | Failure) -> None:
        lane, jobs = attempt.lane, attempt.jobs
        lane.attempt_ended()
        self.in_flight -= len(jobs)
        for job in jobs:
            self._bytes -= len(job.received.event.data)
        if jobs[0].paced:
            self._pacing.release()
        if self._cut_off:
            return
        if jobs[0].request_trace and self._tracing.tracer is not None:
            record_request(self._tracing.tracer, lane, jobs, _error_of(result))
        self._on_result(lane, jobs[0], result)
        for position, job in enumerate(jobs):
            why = attempt.left_out.get(position)
            ended = result if why is None else _failure(why)
            self._record(lane, job, ended, alone=len(jobs) == 1)
        self._on_slot_freed(lane)
        if not self.in_flight:
            self._ledger.nothing_follows()

    def _record(self, lane: Lane, job: Job, result: Response | Failure, *, alone: bool) -> None:
        """Records the result for one delivery; ``alone``: the request held no other."""
        if isinstance(result, Failure):
            if result.error_type in OWN_ERRORS:
                self._not_sent(lane, job, result)
                return
            self._outcomes.attempt_failed(
                lane, job, result.error_type, result.message, None, at_receiver=True
            )
            return
        error = error_for_status(result.status)
        if error is None:
            self._outcomes.attempt_succeeded(lane, job, result.status)
        else:
            self._outcomes.attempt_failed(
                lane, job, error, f"HTTP {result.status}", result, at_receiver=True, alone=alone
            )

    def _not_sent(self, lane: Lane, job: Job, why: Failure) -> None:
        """No request could be made for a delivery, which says nothing of the receiver."""
        release_probe(self._ledger, job.delivery)
        if why.error_type == AttemptErrorType.SECRET_MISSING:
            self._outcomes.postpone(job, SECRET_WAIT, f"{why.error_type}: {why.message}")
        else:
            self._outcomes.attempt_failed(
                lane, job, why.error_type, why.message, None, at_receiver=False, final=why.final
            )


def _error_of(result: Response | Failure) -> str:
    if isinstance(result, Failure):
        return result.error_type
    return error_for_status(result.status) or ""


def _failure(why: Unsendable) -> Failure:
    return Failure(why.error_type, str(why), why.final)
