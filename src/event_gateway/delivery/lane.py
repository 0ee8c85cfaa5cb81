"""A webhook's lane in this process: its concurrency limit, its state and its backlog.

Other modules read the fields of a lane, and change them only through its methods.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.concurrency import START_LIMIT, share_of
from event_gateway.delivery.job import Job
from event_gateway.observability.alerts.tally import AttemptTallies, AttemptTally
from event_gateway.observability.metrics import AttemptCounts, Metrics
from event_gateway.request.builder import RequestBuilder, RequestBuilders

# Deliveries that wait in memory under a lease, for each attempt that may run; one where the lane is
# failing. The others wait in the queue in Redis.
BACKLOG_PER_SLOT = 64
FAILING_AFTER = 2  # failures in a row, of a receiver that has succeeded before
# The backlog of lanes that have never had one, which are most of many: an empty one takes as much
# memory as all else of a lane.
_NO_BACKLOG: deque[Job] = deque()


@dataclass(frozen=True, slots=True)
class Makers:
    """Make the parts of a lane that only attempts need. Of many webhooks most have no attempts for
    a while, and these parts are half of the memory that a webhook takes."""

    builders: RequestBuilders
    metrics: Metrics
    tallies: AttemptTallies


class Lane:
    """One webhook in one process.

    ``active``, ``limits`` and ``batch`` are copies of the webhook's fields, which are read for each
    delivery. ``share`` is this process's part of the webhook's concurrency, ``limit`` the
    concurrency limit now, at most the share. ``has_queued``: older deliveries may be in the queue.
    ``failures``: attempts that failed since the last success. ``failing``: the receiver gives
    nothing but failures. ``tripped``: the circuit breaker is not closed, and an attempt starts only
    as its probe. ``throttled``: the receiver has asked for no requests for a while, and none
    starts. ``disable_pending``: this process has requested that the webhook is disabled, and starts
    nothing until the registry says so. ``deleted``: the webhook was deleted.

    What follows of these is kept, too, as each attempt asks for it several times. ``accepts``:
    deliveries may wait in the backlog, rather than in the queue. ``paced``: its attempts are paced:
    those of a failing lane, and probes.
    """

    __slots__ = (
        "_makers",
        "_moved",
        "_overflows",
        "_proven",
        "_slot_freed",
        "_unrecorded",
        "accepts",
        "active",
        "backlog",
        "backlog_bytes",
        "batch",
        "builder",
        "deleted",
        "disable_pending",
        "failing",
        "failures",
        "has_queued",
        "in_flight",
        "limit",
        "limits",
        "metrics",
        "paced",
        "share",
        "tally",
        "throttled",
        "tripped",
        "webhook",
    )

    def __init__(self, webhook: Webhook, makers: Makers) -> None:
        self._makers = makers
        self.share = webhook.concurrency
        self.limit = min(START_LIMIT, float(self.share))
        self.in_flight = 0
        self.backlog = _NO_BACKLOG
        self.backlog_bytes = 0  # of event data, for batch mode
        self.has_queued = False
        self.failures = 0
        self.failing = False
        self.tripped = False
        self.throttled = False
        self.deleted = False
        # Made once a task waits for it: each takes as much memory as a backlog.
        self._slot_freed: asyncio.Event | None = None
        self._moved: asyncio.Event | None = None
        self._overflows = 0  # deliveries that this process has put into the queue
        self._unrecorded = 0  # those of them that the ledger has yet to confirm
        self._proven = False  # whether an attempt has ever succeeded
        self.configure(webhook)

    builder: RequestBuilder  # of the webhook as it is now
    metrics: AttemptCounts  # what the lane counts for the metrics and the history
    tally: AttemptTally  # what it counts for the alerts

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Makes the parts that only attempts need, at their first use: an attribute that is
            not set comes here. Properties would be three calls more for each delivery."""
            if name == "builder":
                self.builder = self._makers.builders.for_webhook(self.webhook)
            elif name == "metrics":
                self.metrics = self._makers.metrics.attempts_of(self.webhook.id)
            elif name == "tally":
                self.tally = self._makers.tallies.of(self.webhook.id)
            else:
                raise AttributeError(name, name=name, obj=self)
            return object.__getattribute__(self, name)

    @property
    def slot_freed(self) -> asyncio.Event:
        """Set when an attempt may start that could not before."""
        if self._slot_freed is None:
            self._slot_freed = asyncio.Event()
        return self._slot_freed

    @property
    def moved(self) -> asyncio.Event:
        """Set when the webhook gets another endpoint URL; a new one takes its place, for the next
        time."""
        if self._moved is None:
            self._moved = asyncio.Event()
        return self._moved

    def wake(self) -> None:
        """An attempt may start that could not before."""
        if self._slot_freed is not None:
            self._slot_freed.set()

    # What the registry changes

    def configure(self, webhook: Webhook) -> None:
        """Applies the webhook's present definition."""
        self.webhook = webhook
        with contextlib.suppress(AttributeError):  # unless there is none yet
            del self.builder  # it is made again, of this definition
        self.active = webhook.active
        self.limits = webhook.limits
        self.batch = webhook.batch if webhook.mode == "batch" else None
        self.disable_pending = False
        self._decide()

    def mark_deleted(self) -> None:
        """The webhook is deleted: what still runs here is not retried."""
        self.deleted = True

    def await_disabling(self) -> None:
        """Starts nothing until the registry says that the webhook is disabled, or changes it."""
        self.disable_pending = True
        self._decide()

    def set_share(self, index: int, processes: int) -> None:
        """Computes this process's share of the concurrency again."""
        self.share = share_of(self.webhook, index, processes)
        self.limit = min(max(self.limit, 1.0), float(self.share))
        self._decide()

    # What attempts change

    def attempt_started(self) -> None:
        """Counts a request that was sent."""
        self.in_flight += 1

    def attempt_ended(self) -> None:
        """Counts a request that is over, and wakes the tasks that wait for its slot."""
        self.in_flight -= 1
        if self._slot_freed is not None:
            self._slot_freed.set()

    def record_success(self) -> None:
        """The receiver took a request: the limit grows by one."""
        self.failures = 0
        self._proven = True
        if self.failing:
            self.failing = False
            self._decide()
        self.limit = min(self.limit + 1.0, float(self.share))

    def record_failure(self) -> None:
        """The receiver failed a request."""
        self.failures += 1
        if not self.failing and self.failures >= (FAILING_AFTER if self._proven else 1):
            self.failing = True
            self._decide()

    def lower_limit(self) -> None:
        """The receiver is overloaded: halves the limit."""
        self.limit = min(max(1.0, self.limit / 2), float(self.share))

    def trip(self) -> None:
        """The circuit breaker has opened."""
        self.tripped = True
        self._decide()

    def mark_moved(self) -> None:
        """The webhook has another endpoint URL: retries need not wait for the former receiver."""
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def reset(self) -> None:
        """The circuit breaker has closed, or the receiver is another one."""
        self.tripped = False
        self.forget_failures()

    def forget_failures(self) -> None:
        """Starts afresh with a receiver; deliveries may have piled up in its queue meanwhile."""
        self.failures = 0
        self.failing = False
        self.has_queued = True
        self._decide()

    def throttle(self) -> None:
        """The receiver has asked for no requests for a while."""
        self.throttled = True
        self._decide()

    def end_throttle(self) -> None:
        """Attempts may start again; deliveries may have piled up in the queue meanwhile."""
        self.throttled = False
        self.has_queued = True
        self._decide()
        self.wake()

    # The backlog

    def push(self, job: Job) -> None:
        """Puts a job at the end of the backlog."""
        if self.backlog is _NO_BACKLOG:
            self.backlog = deque()
        self.backlog_bytes += len(job.received.event.data)
        self.backlog.append(job)

    def pop_oldest(self) -> Job:
        """Takes the job that has waited longest out of the backlog."""
        job = self.backlog.popleft()
        self.backlog_bytes -= len(job.received.event.data)
        return job

    def pop_newest(self) -> Job:
        """Takes the job that came last out of the backlog."""
        job = self.backlog.pop()
        self.backlog_bytes -= len(job.received.event.data)
        return job

    # The queue in Redis

    def overflow(self) -> None:
        """A delivery goes into the queue, as there is no slot for it here."""
        self.has_queued = True
        self._overflows += 1
        self._unrecorded += 1

    def overflow_recorded(self) -> None:
        """The ledger has confirmed a delivery that went into the queue."""
        self._unrecorded -= 1

    def found_queued(self) -> None:
        """Redis says that deliveries are due in the queue."""
        self.has_queued = True

    def overflow_mark(self) -> tuple[int, int]:
        """A value for :meth:`queue_read`, taken before the queue is read."""
        return self._overflows, self._unrecorded

    def queue_read(self, before: tuple[int, int], *, more: bool) -> None:
        """Records that deliveries were leased from the queue; ``more``: as many as were requested.

        With fewer the queue is empty, unless this process has added deliveries to it that the
        lease request may not have seen.
        """
        overflows, unrecorded = before
        self.has_queued = more or unrecorded > 0 or self._overflows != overflows

    # What it has room for

    @property
    def lets_wait(self) -> bool:
        """Whether deliveries wait in the queue for longer, as no process attempts them now or only
        a few at a time."""
        return self.failing or not self.active or self._blocked

    @property
    def _blocked(self) -> bool:
        return self.tripped or self.throttled or self.disable_pending

    def _decide(self) -> None:
        """One of the fields has changed of which these follow."""
        self.accepts = self.share > 0 and self.active and not self._blocked
        self.paced = self.failing or self.tripped

    @property
    def attempt_slots(self) -> int:
        """How many attempts the concurrency limit lets start now."""
        slots = int(self.limit) - self.in_flight
        return slots if slots > 0 else 0

    @property
    def backlog_slots(self) -> int:
        """How many more deliveries may wait in the backlog."""
        each = 1 if self.failing else BACKLOG_PER_SLOT
        if self.batch is not None:
            each = max(each, self.batch.max_events)
        slots = each * int(self.limit) - len(self.backlog)
        return slots if slots > 0 else 0

    @property
    def room(self) -> int:
        """How many deliveries to request from the queue, to be attempted or to wait here: one, the
        probe, where the breaker is not closed."""
        if self.tripped:
            blocked = self.throttled or self.disable_pending
            return int(self.active and not blocked and self.share > 0)
        if not self.accepts:
            return 0
        if self.limits:
            # A permit of the rate limit is used at once.
            return self.attempt_slots * (1 if self.batch is None else self.batch.max_events)
        return self.attempt_slots + self.backlog_slots

    @property
    def needs_refill(self) -> bool:
        """Whether to request deliveries: once half of the backlog is free, not for each slot."""
        if not (self.has_queued and self.accepts):
            return False
        if self.backlog and len(self.backlog) > self.backlog_slots:
            return False
        has_slot = self.in_flight < int(self.limit)  # `attempt_slots`, without a call
        return has_slot or (not self.limits and self.backlog_slots > 0)
