"""A webhook's lane: how many attempts may run at once, and what waits in this process for it."""

from collections import deque
from collections.abc import Callable

import msgspec

from event_gateway.core.delivery import Delivery
from event_gateway.core.event import Received
from event_gateway.core.webhook import Webhook
from event_gateway.delivery.request import RequestBuilder
from event_gateway.observability.metrics import WebhookMetrics

START_LIMIT = 4.0
# Deliveries that wait in memory for a lane, held under a lease; more wait in the ledger's queue.
BACKLOG = 64
SLOW_STATUSES = frozenset((429, 502, 504))


class Job(msgspec.Struct):
    """A delivery with its event at hand. ``recorded`` is called once the ledger knows of it."""

    delivery: Delivery
    received: Received
    recorded: Callable[[], None] | None = None
    started: float = 0.0


class Lane:
    """In-flight limit (grows on success up to the webhook's concurrency, halves where the
    receiver is slow or says it is overloaded) and the backlog in front of it.

    ``queued``: more waits in the ledger than the backlog had room for.
    """

    def __init__(self, webhook: Webhook, builder: RequestBuilder, metrics: WebhookMetrics) -> None:
        self.webhook = webhook
        self.builder = builder
        self.metrics = metrics
        self.limit = min(START_LIMIT, float(webhook.concurrency))
        self.in_flight = 0
        self.backlog: deque[Job] = deque()
        self.queued = False

    @property
    def free(self) -> int:
        """How many more may start now or wait here."""
        return max(0, int(self.limit) - self.in_flight) + BACKLOG - len(self.backlog)

    @property
    def open(self) -> bool:
        """Whether an attempt may start at once."""
        return self.in_flight < int(self.limit)

    def grow(self) -> None:
        """After a success."""
        self.limit = min(self.limit + 1.0, float(self.webhook.concurrency))

    def shrink(self) -> None:
        """After a timeout, 429, 502 or 504."""
        self.limit = max(1.0, self.limit / 2)
