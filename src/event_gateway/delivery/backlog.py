"""The backlogs of all lanes: deliveries that wait in this process for their attempts."""

import asyncio
import itertools
from collections.abc import Iterator

from event_gateway.delivery import batching
from event_gateway.delivery.attempts import Attempts
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import LEASE_MARGIN, Outcomes
from event_gateway.delivery.pacing import Pacing

MAX_WAITING = 16384  # deliveries that wait in this process, in all lanes
MAX_WAITING_BYTES = 64 * 1024 * 1024  # of their events' data, counted for each delivery
OFFERED_TO = 8  # lanes that get a slot each when one is free again after all were taken


class Backlogs:
    """Moves deliveries into the backlogs, from there to attempts, or back to the queue.

    ``signal`` is notified of a lane that has room while deliveries are in its queue.
    """

    def __init__(
        self, outcomes: Outcomes, pacing: Pacing, attempts: Attempts, signal: DueSignal
    ) -> None:
        self._outcomes = outcomes
        self._pacing = pacing
        self._attempts = attempts
        self._signal = signal
        self._count = 0
        self._bytes = 0  # of the data of their events
        self._waiting: dict[Lane, None] = {}  # lanes whose backlog is not empty
        self._timers: dict[Lane, asyncio.TimerHandle] = {}  # of requests that wait for more events
        self._stopping = False
        # Kept, as to ask for it costs a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Whether as many deliveries wait as may."""
        return self._count >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES

    @property
    def have_room(self) -> bool:
        """Whether another delivery may wait here."""
        return not (self.full or self._stopping)

    def add(self, lane: Lane, job: Job) -> None:
        """Puts a delivery into the lane's backlog."""
        job.waiting_since = self._loop.time()
        lane.push(job)
        if lane.failing:
            self._pacing.wait(lane)
        self._count += 1
        self._bytes += len(job.received.event.data)
        self._waiting[lane] = None

    def enqueue(self, lane: Lane, job: Job) -> None:
        """Puts a delivery into the lane's queue in Redis."""
        on_recorded = job.on_recorded or (lambda: None)
        lane.overflow()

        def recorded() -> None:
            lane.overflow_recorded()
            on_recorded()

        job.on_recorded = recorded
        # What could be taken at once is to be found soon: by this process, as the deliveries of a
        # webhook with a rate limit, or by another one that has the share of the concurrency.
        self._outcomes.enqueue(job, patient=lane.lets_wait)

    def return_to_queue(self, lane: Lane, keep: int = 0) -> None:
        """Puts all but the oldest ``keep`` deliveries of the backlog back into the queue."""
        while len(lane.backlog) > keep:
            job = lane.pop_newest()
            self._removed(job)
            self.enqueue(lane, job)
        if not lane.backlog:
            self._waiting.pop(lane, None)

    def remove(self, lane: Lane) -> Iterator[Job]:
        """Takes all jobs out of the backlog of a lane whose webhook is deleted."""
        self._waiting.pop(lane, None)
        while lane.backlog:
            job = lane.pop_oldest()
            self._removed(job)
            yield job

    def drain(self, lane: Lane, most: int | None = None) -> None:
        """Starts as many requests of the lane as may start, at most ``most``."""
        if not lane.backlog and not lane.has_queued:
            return
        now = self._loop.time()
        incomplete = False
        while most != 0 and lane.backlog and self._attempts.can_start(lane):
            incomplete = batching.seconds_to_wait(lane, now) > 0
            if incomplete:
                break
            most = None if most is None else most - 1
            jobs = batching.take_request(lane)
            for job in jobs:
                self._removed(job)
            if now < jobs[0].delivery.leased_until - LEASE_MARGIN:
                self._attempts.start(lane, jobs)
            else:  # their leases may end before the start is recorded
                for job in jobs:
                    self.enqueue(lane, job)
        if not lane.backlog:
            self._waiting.pop(lane, None)
        elif incomplete:
            self.gather(lane)
        elif lane.failing and lane.attempt_slots:
            self._pacing.wait(lane)
        if lane.needs_refill:
            self._signal.request_deliveries(lane)

    def gather(self, lane: Lane) -> None:
        """In batch mode: sends the lane's next request now, or sets a timer for when it is to be
        sent at the latest."""
        if lane.batch is None or not lane.backlog:
            return
        left = batching.seconds_to_wait(lane, self._loop.time())
        if left <= 0:
            self.drain(lane)
        elif lane not in self._timers:
            self._timers[lane] = self._loop.call_later(left, self._gathered, lane)

    def drain_all(self) -> None:
        """Starts what may start now, in all lanes that are not paced."""
        for lane in list(self._waiting):
            if not lane.failing:
                self.drain(lane)

    def offer_slot(self) -> None:
        """A slot is free again after all of this process were taken: the next lanes in turn may
        use it."""
        for lane in list(itertools.islice(self._waiting, OFFERED_TO)):
            del self._waiting[lane]
            self._waiting[lane] = None
            if not lane.failing:
                self.drain(lane, 1)

    def stop(self) -> None:
        """Returns all backlogs to the queues; nothing waits here any more."""
        self._stopping = True
        for lane in list(self._waiting):
            self.return_to_queue(lane)

    def _removed(self, job: Job) -> None:
        self._count -= 1
        self._bytes -= len(job.received.event.data)

    def _gathered(self, lane: Lane) -> None:
        del self._timers[lane]
        self.gather(lane)
