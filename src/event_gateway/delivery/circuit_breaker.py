"""How lanes stand: what attempts, and other processes, say of a receiver's health.

Its breaker opens and closes, its limit grows and shrinks, its webhook is disabled; all of it is
decided here. What follows for what waits in this process is done by the dispatcher.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from event_gateway.core.errors import ErrorType
from event_gateway.core.text.units import format_duration
from event_gateway.core.webhook.delivery import GONE, Delivery
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.lane import BACKLOG, SLOW_STATUSES, Job, Lane
from event_gateway.delivery.response_directives import disables
from event_gateway.state.ledger import Ledger
from event_gateway.transport.client import Failure, Response

log = structlog.get_logger(__name__)

SOON = 0.005  # seconds until what was submitted is written
SLOW_ERRORS = frozenset((ErrorType.CONNECT_TIMEOUT, ErrorType.RESPONSE_TIMEOUT))


class Standing:
    """Of all ``lanes`` of this process. ``give_back``: what waits in a lane, but for so many, is to
    wait in its queue; ``wake``: something becomes due in so many seconds; ``ask``: a lane has
    room; ``disable``: a webhook is to be disabled, and why."""

    def __init__(
        self, ledger: Ledger, lanes: Mapping[str, Lane], give_back: Callable[[Lane, int], None]
    ) -> None:
        self._ledger = ledger
        self._lanes = lanes
        self._give_back = give_back
        self.wake: Callable[[float], None] = lambda seconds: None
        self.ask: Callable[[Lane], None] = lambda lane: None
        self.disable: Callable[[Webhook, str], None] = lambda webhook, reason: None
        ledger.report_lanes(self._heard)

    def begin_anew(self, lane: Lane) -> None:
        """What is known of a lane's receiver does not hold for the one it has now."""
        lane.failures, lane.shut, lane.queued = 0, False, True
        self._ledger.change_lane(lane.webhook.id, "reset")

    def pause(self, lane: Lane) -> None:
        """Its webhook is not active: nothing is to be taken from its queue."""
        self._ledger.change_lane(lane.webhook.id, "pause")
        self._give_back(lane, 0)

    def resume(self, lane: Lane) -> None:
        """Its webhook is active again."""
        self._ledger.change_lane(lane.webhook.id, "resume")
        lane.failures, lane.queued = 0, True

    def learn(self, shut: frozenset[str]) -> None:
        """Takes up which breakers others, or this process before its end, have opened.

        That one has closed is heard with the first delivery that is written for it.
        """
        news = [one for one in shut if one in self._lanes and not self._lanes[one].shut]
        self._heard(news, shut, {})

    def reconcile(self, paused: frozenset[str]) -> None:
        """Corrects which queues are paused, where a write of that was lost."""
        for lane in self._lanes.values():
            if lane.active == (lane.webhook.id in paused):
                what = "resume" if lane.active else "pause"
                self._ledger.change_lane(lane.webhook.id, what)

    def well(self, lane: Lane, job: Job) -> None:
        """An attempt has succeeded."""
        lane.failures, lane.proven = 0, True
        lane.grow()
        if job.delivery.probe:
            log.info("receiver is back, its breaker closes", webhook=lane.webhook.id)
            # The lane opens once that is written: until then nothing could be taken from its queue.
            self._ledger.change_lane(lane.webhook.id, "close", token=job.delivery.token)

    def ill(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        """An attempt has failed, and that is the receiver's doing."""
        if isinstance(result, Failure):
            slow = result.error_type in SLOW_ERRORS
        else:
            slow = result.status in SLOW_STATUSES
        if slow:
            lane.shrink()
            self._give_back(lane, BACKLOG * int(lane.limit))
        self._count(lane, job)
        self.obey(lane, job, result)

    def obey(self, lane: Lane, job: Job, result: Response | Failure) -> None:
        """Disables the webhook where the answer, of whatever status, says so."""
        if isinstance(result, Response) and (result.status == GONE or disables(result.headers)):
            said = "webhook-delivery: disable" if result.status != GONE else "410 Gone"
            self._halt(lane, job.url, f"the receiver answered {said}")

    def untried(self, delivery: Delivery) -> None:
        """No attempt was made. Where it was to be the breaker's probe, another is to be."""
        if delivery.probe:
            self._ledger.change_lane(delivery.webhook_id, "release", token=delivery.token)

    def _count(self, lane: Lane, job: Job) -> None:
        breaker, webhook_id = lane.webhook.circuit_breaker, lane.webhook.id
        lane.failures += 1
        if job.delivery.probe:
            self._ledger.change_lane(webhook_id, "open", breaker.open_for, job.delivery.token)
        elif not lane.shut and lane.failures >= breaker.failure_threshold and not lane.gone:
            log.warning("receiver only fails, its breaker opens", webhook=webhook_id,
                        seconds=breaker.open_for)  # fmt: skip
            self._ledger.change_lane(webhook_id, "open", breaker.open_for)
            lane.shut = True
            self._give_back(lane, 0)
        else:
            return
        self.wake(breaker.open_for + SOON)

    def _halt(self, lane: Lane, url: str, reason: str) -> None:
        if lane.webhook.url == url and lane.active and not (lane.halted or lane.gone):
            lane.halted = True
            self._give_back(lane, 0)
            self.disable(lane.webhook, reason)

    def _heard(
        self, webhooks: Sequence[str], shut: frozenset[str], failing: Mapping[str, float]
    ) -> None:
        """What the ledger says of lanes, which other processes may have shut or opened."""
        for webhook_id in webhooks:
            lane = self._lanes.get(webhook_id)
            if lane is None:
                continue
            if lane.shut != (webhook_id in shut):
                if lane.shut:
                    lane.shut, lane.failures, lane.queued = False, 0, True
                else:
                    lane.shut = True
                    self._give_back(lane, 0)
            # What has just been written of it may be due at once.
            if lane.hungry:
                self.ask(lane)
        for webhook_id, seconds in failing.items():
            lane = self._lanes.get(webhook_id)
            if lane is not None and seconds >= lane.webhook.disable_after:
                reason = f"nothing but failures for {format_duration(int(seconds))}"
                self._halt(lane, lane.webhook.url, reason)
