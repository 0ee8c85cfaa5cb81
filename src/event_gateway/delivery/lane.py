"""A webhook's lane: how many attempts may run at once, and what waits in this process for it."""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import Delivery, Outcome
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.metrics import WebhookMetrics
from event_gateway.request.builder import RequestBuilder

START_LIMIT = 4.0
# For each attempt that may run so many deliveries wait in memory, held under a lease, and one where
# the receiver is sick; more wait in the ledger's queue.
BACKLOG = 64
STRAINED = 2  # failures in a row from which a receiver counts as sick, if it was ever well
SLOW_STATUSES = frozenset((429, 502, 504))


class Job(msgspec.Struct):
    """A delivery with its event at hand.

    ``recorded`` is called once the ledger knows of it. ``settle``: who keeps the delivery out of
    the queue gets each outcome here, once its state is carried out. ``strained``: it takes one of
    the places that lanes which fail share. ``url``: where it was sent to. ``held``: since
    when it waits in its lane, on the loop's clock.
    """

    delivery: Delivery
    received: Received
    recorded: Callable[[], None] | None = None
    settle: Callable[[Outcome], None] | None = None
    started: float = 0.0
    strained: bool = False
    url: str = ""
    held: float = 0.0


class Lane:
    """In-flight limit (grows on success up to the webhook's concurrency, halves where the
    receiver is slow or says it is overloaded) and the backlog in front of it.

    ``queued``: older deliveries wait in the ledger than any that comes now; ``overflows`` counts
    those that this process has put there, ``unwritten`` those not confirmed yet. ``failures``:
    attempts that failed since the last success; ``proven``: there was one. ``shut``: the breaker is
    not closed, an attempt begins only as its probe. ``halted``: the webhook is being disabled;
    ``gone``: it is deleted. ``gathered``: bytes of data that wait for a request of several events,
    ``timer`` goes off when it leaves. ``share``: this process' part of the webhook's concurrency.
    ``freed`` is set when an attempt may begin that could not before.
    """

    def __init__(self, webhook: Webhook, builder: RequestBuilder, metrics: WebhookMetrics) -> None:
        self.change(webhook, builder)
        self.metrics = metrics
        self.share = webhook.concurrency
        self.limit = min(START_LIMIT, float(self.share))
        self.in_flight = 0
        self.backlog: deque[Job] = deque()
        self.gathered = 0
        self.timer: asyncio.TimerHandle | None = None
        self.queued = False
        self.overflows = 0
        self.unwritten = 0
        self.failures = 0
        self.proven = False
        self.freed = asyncio.Event()
        self.shut = False
        self.halted = False
        self.gone = False

    def change(self, webhook: Webhook, builder: RequestBuilder) -> None:
        """Takes up the webhook as it is now."""
        self.webhook = webhook
        self.builder = builder
        # Of these there is a question or two for each delivery.
        self.active = webhook.active
        self.limits = webhook.limits
        self.batch = webhook.batch if webhook.mode == "batch" else None

    @property
    def takes(self) -> bool:
        """Whether deliveries may wait here for their attempt, rather than in the queue."""
        return self.active and not (self.shut or self.halted) and self.share > 0

    @property
    def strained(self) -> bool:
        """Whether its receiver is sick: such lanes share what they may take of this process."""
        return self.failures >= (STRAINED if self.proven else 1)

    @property
    def sick(self) -> bool:
        """Whether an attempt here is one of those that have a pace: a probe counts, too."""
        return self.strained or self.shut

    @property
    def free(self) -> int:
        """How many more may be taken from the queue, to start now or to wait here."""
        if not self.takes:
            return 0
        if self.limits:
            # Who has a permit uses it at once.
            return self.starts * (1 if self.batch is None else self.batch.max_events)
        return self.starts + self.places

    @property
    def starts(self) -> int:
        """How many attempts may begin now, by the lane's own limit."""
        return max(0, int(self.limit) - self.in_flight)

    @property
    def places(self) -> int:
        """How many more may wait here."""
        each = 1 if self.strained else BACKLOG
        if self.batch is not None:
            each = max(each, self.batch.max_events)
        return max(0, each * int(self.limit) - len(self.backlog))

    @property
    def hungry(self) -> bool:
        """Whether it is to be filled up from its queue: not for each place that becomes free."""
        return self.queued and len(self.backlog) <= self.places and self.free > 0

    @property
    def room(self) -> int:
        """How many are to be asked for: where the breaker is not closed, one, to be its probe."""
        if self.shut:
            return int(self.active and not self.halted and self.share > 0)
        return self.free

    def divide(self, place: int, processes: int) -> None:
        """Takes this process' part of the concurrency, as the ``place``-th of so many."""
        if self.webhook.ordered:
            processes = 1  # one process has it all
        # Each webhook begins the dealing out elsewhere, so that no process gets all the rests.
        place = (place + zlib.crc32(self.webhook.id.encode())) % processes
        whole, rest = divmod(self.webhook.concurrency, processes)
        self.share = whole + (place < rest)
        self.limit = min(max(self.limit, 1.0), float(self.share))

    def grow(self) -> None:
        """After a success."""
        self.limit = min(self.limit + 1.0, float(self.share))

    def shrink(self) -> None:
        """After a timeout, 429, 502 or 504."""
        self.limit = min(max(1.0, self.limit / 2), float(self.share))
