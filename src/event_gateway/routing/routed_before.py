"""Events that may have been routed before: what is recorded of them is not started again."""

import time
from collections.abc import Sequence

import structlog

from event_gateway.broker.provision import ACK_WAIT
from event_gateway.broker.pull import Pulled
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.metrics import Metrics
from event_gateway.state.ledger import Ledger

log = structlog.get_logger(__name__)

OVERDUE = 0.8  # of the time until JetStream redelivers an event
INTERVAL = 60.0  # seconds between two log lines about events that were published again

Matched = tuple[Pulled, Received, list[Webhook]]  # an event with the webhooks that match it


class RoutedBefore:
    """Knows which deliveries of a stream's events are not new."""

    def __init__(self, stream: str, ledger: Ledger, metrics: Metrics) -> None:
        self._stream = stream
        self._ledger = ledger
        self._metrics = metrics
        self._logged_at = -INTERVAL  # on the monotonic clock

    async def recorded(self, matched: Sequence[Matched]) -> set[tuple[str, int]]:
        """The deliveries (webhook and sequence) that are recorded already, of events that may have
        been routed before.

        A duplicate may be new to some of its webhooks. An old event may have been redelivered to
        another process while this one was suspended.
        """
        high = self._ledger.highest_recorded(self._stream)
        long_ago = time.time() - ACK_WAIT * OVERDUE
        suspects = [
            (webhook, received)
            for pulled, received, webhooks in matched
            if pulled.delivered > 1
            or received.seq <= high
            or received.time < long_ago
            or received.duplicate_of is not None
            for webhook in webhooks
        ]
        if not suspects:
            return set()
        answers = await self._ledger.known(suspects)
        return {
            (webhook.id, received.seq)
            for (webhook, received), known in zip(suspects, answers, strict=True)
            if known
        }

    def without_duplicate(
        self, received: Received, first: tuple[str, int], webhooks: list[Webhook]
    ) -> list[Webhook]:
        """The webhooks that did not get the event when it was published first, at ``first``: those
        that were registered since."""
        self._metrics.duplicate()
        now = time.monotonic()
        if now - self._logged_at >= INTERVAL:
            self._logged_at = now
            log.warning("an event was published again, and is not delivered again",
                        source=received.event.source[:200], event_id=received.event.id[:200],
                        first_seq=first[1], seq=received.seq)  # fmt: skip
        return [webhook for webhook in webhooks if not webhook.is_older_than(*first)]
