"""Circuit breakers: stop attempts to a receiver that keeps failing, and test whether it is back.

*Closed*: attempts run. After ``failure_threshold`` failures in a row the breaker *opens* for
``open_for`` seconds: none starts, and deliveries wait in the queue. Then it is *half-open*: the
queue gives out one delivery, the probe. Its success closes the breaker, its failure opens it again.

The state is in Redis, where all processes share it. Each process submits its changes to the ledger,
and applies the state that the ledger reports back to its lanes.
"""

from collections.abc import Callable, Mapping

import structlog

from event_gateway.core.webhook.delivery import Delivery
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.lane import Lane
from event_gateway.state.ledger import WRITTEN_AFTER, Ledger

log = structlog.get_logger(__name__)


class CircuitBreakers:
    """The circuit breakers of ``lanes``, which are those of this process by webhook.

    ``return_to_queue(lane, keep)`` puts all but ``keep`` deliveries of a backlog into the queue.
    """

    def __init__(
        self,
        ledger: Ledger,
        lanes: Mapping[str, Lane],
        signal: DueSignal,
        return_to_queue: Callable[[Lane, int], None],
    ) -> None:
        self._ledger = ledger
        self._lanes = lanes
        self._signal = signal
        self._return_to_queue = return_to_queue

    def probe_succeeded(self, lane: Lane, delivery: Delivery) -> None:
        """Closes the breaker."""
        log.info("receiver is back, circuit breaker closes", webhook=lane.webhook.id)
        # The lane is reset once that is written: until then its queue gives out nothing.
        self._ledger.change_lane(lane.webhook.id, "close", token=delivery.token)

    def attempt_failed(self, lane: Lane, delivery: Delivery) -> None:
        """Opens the breaker after enough failures, or again where the probe has failed. The lane
        has counted this failure."""
        breaker, webhook_id = lane.webhook.circuit_breaker, lane.webhook.id
        if delivery.probe:
            log.info("receiver still fails, circuit breaker opens again", webhook=webhook_id,
                     seconds=breaker.open_for)  # fmt: skip
            self._ledger.change_lane(webhook_id, "open", breaker.open_for, delivery.token)
        elif not lane.tripped and lane.failures >= breaker.failure_threshold and not lane.deleted:
            log.warning("receiver keeps failing, circuit breaker opens", webhook=webhook_id,
                        seconds=breaker.open_for)  # fmt: skip
            self._ledger.change_lane(webhook_id, "open", breaker.open_for)
            self._trip(lane)
        else:
            return
        self._signal.due_in(breaker.open_for + WRITTEN_AFTER)

    def reset(self, lane: Lane) -> None:
        """Closes the breaker, as the webhook has another endpoint URL."""
        lane.reset()
        self._ledger.change_lane(lane.webhook.id, "reset")

    def apply(self, lane: Lane, *, closed: bool) -> None:
        """Applies the state that Redis has, which another process may have changed."""
        if lane.tripped and closed:
            lane.reset()
        elif not (lane.tripped or closed):
            self._trip(lane)

    def load(self, not_closed: frozenset[str]) -> None:
        """Opens the breakers that are open in Redis, by webhook. (That one has closed is reported
        with the first delivery that is recorded for it.)"""
        for webhook_id in not_closed:
            lane = self._lanes.get(webhook_id)
            if lane is not None:
                self.apply(lane, closed=False)

    def _trip(self, lane: Lane) -> None:
        lane.trip()
        self._return_to_queue(lane, 0)


def release_probe(ledger: Ledger, delivery: Delivery) -> None:
    """No attempt was made of a delivery: if it was the probe, another delivery has to be."""
    if delivery.probe:
        ledger.change_lane(delivery.webhook_id, "release", token=delivery.token)
