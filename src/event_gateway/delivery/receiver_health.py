"""Receiver health: what the results of attempts change in a lane.

A result adapts the concurrency limit, is counted by the circuit breaker, may throttle the webhook
(429 or 503 with ``Retry-After``), and may disable it: on the receiver's request (410 Gone,
``webhook-delivery: disable``), or after nothing but failures for the webhook's ``disable_after``.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from event_gateway.core.text.units import format_duration
from event_gateway.core.webhook.delivery import GONE, THROTTLING
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.attempts import OWN_ERRORS
from event_gateway.delivery.circuit_breaker import CircuitBreakers
from event_gateway.delivery.concurrency import is_overloaded
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import BACKLOG_PER_SLOT, Lane
from event_gateway.delivery.response_directives import DIRECTIVES, disables, retry_after
from event_gateway.delivery.throttling import Throttles
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.transport.client import Failure, Response


class ReceiverHealth:
    """The health of the receivers behind ``lanes``, which are those of this process by webhook.

    ``reports`` of the ledger change the lanes, too.
    ``return_to_queue(lane, keep)`` puts all but ``keep`` deliveries of a backlog into the queue;
    ``disable(webhook, reason)`` has the registry disable a webhook.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        breakers: CircuitBreakers,
        throttles: Throttles,
        signal: DueSignal,
        *,
        reports: LaneReports,
        return_to_queue: Callable[[Lane, int], None],
        disable: Callable[[Webhook, str], None],
    ) -> None:
        self._lanes = lanes
        self._breakers = breakers
        self._throttles = throttles
        self._signal = signal
        self._return_to_queue = return_to_queue
        self._disable_webhook = disable
        reports.follow(self._apply_report)

    def request_ended(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        """Applies the result of a request; ``job``: its first."""
        if isinstance(result, Response) and 200 <= result.status < 300:
            lane.record_success()
            if job.delivery.probe:
                self._breakers.probe_succeeded(lane, job.delivery)
            if DIRECTIVES in result.headers:
                self._obey(lane, job, result)
        elif isinstance(result, Response) or result.error_type not in OWN_ERRORS:
            self._request_failed(lane, job, result)

    def _apply_report(
        self,
        webhooks: Sequence[str],
        not_closed: frozenset[str],
        failing: Mapping[str, float],
        throttled: Mapping[str, float],
    ) -> None:
        """Applies what the ledger reports after each write.

        ``webhooks``: those of which something was written, but for those whose circuit breaker is
        about to be written again; ``not_closed``: the webhooks whose circuit breaker is open or
        half-open; ``failing``: for how many seconds a receiver that has just failed has done
        nothing else; ``throttled``: for how many seconds which webhooks are throttled.
        """
        for webhook_id in webhooks:
            lane = self._lanes.get(webhook_id)
            if lane is None:
                continue
            self._breakers.apply(lane, closed=webhook_id not in not_closed)
            if webhook_id in throttled:
                self._throttles.apply(lane, throttled[webhook_id])
            # What was written of it may be due at once.
            if lane.needs_refill:
                self._signal.request_deliveries(lane)
        for webhook_id, seconds in failing.items():
            lane = self._lanes.get(webhook_id)
            if lane is not None and seconds >= lane.webhook.disable_after:
                reason = f"nothing but failures for {format_duration(int(seconds))}"
                self._disable(lane, lane.webhook.url, reason)

    def _request_failed(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        wait = self._requested_wait(lane, job, result) if isinstance(result, Response) else 0.0
        if wait > 0:
            self._throttles.request(lane, wait)
        if wait > 0 or is_overloaded(result):
            lane.lower_limit()
            self._return_to_queue(lane, BACKLOG_PER_SLOT * int(lane.limit))
        lane.record_failure()
        self._breakers.attempt_failed(lane, job.delivery)
        if isinstance(result, Response):
            self._obey(lane, job, result)

    def _requested_wait(self, lane: Lane, job: Job, response: Response) -> float:
        """For how many seconds the receiver wants no request of this webhook; 0: not said."""
        if response.status not in THROTTLING:
            return 0.0
        requested = retry_after(response.headers, time.time())
        if requested is None or job.url != lane.webhook.url:
            return 0.0
        policy, failed = lane.webhook.retry_policy, len(job.delivery.attempts) + 1
        return policy.bounded(requested, failed)

    def _obey(self, lane: Lane, job: Job, response: Response) -> None:
        """Disables the webhook where the response, of whatever status, asks for it."""
        if response.status == GONE:
            self._disable(lane, job.url, "the receiver answered 410 Gone")
        elif disables(response.headers):
            self._disable(lane, job.url, "the receiver answered webhook-delivery: disable")

    def _disable(self, lane: Lane, url: str, reason: str) -> None:
        if lane.webhook.url == url and lane.active and not (lane.disable_pending or lane.deleted):
            lane.await_disabling()
            self._return_to_queue(lane, 0)
            self._disable_webhook(lane.webhook, reason)
