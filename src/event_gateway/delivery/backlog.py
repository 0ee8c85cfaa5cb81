"""What waits in this process for its attempt, in front of the lanes."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

from event_gateway.core.webhook.delivery import Status
from event_gateway.delivery import batching
from event_gateway.delivery.lane import Job, Lane
from event_gateway.delivery.outcomes import LEASE_MARGIN, Outcomes
from event_gateway.delivery.pacing import SickTurns

MAX_HELD = 16384  # deliveries that wait in this process, in all lanes
IN_TURN = 8  # lanes that a place is offered to which has become free where all were taken


class Backlogs:
    """``start`` begins a request of some deliveries of a lane, where it ``may_start``. ``ask`` is
    told of a lane that has room while deliveries wait in its queue."""

    def __init__(
        self,
        outcomes: Outcomes,
        sick: SickTurns,
        may_start: Callable[[Lane], bool],
        start: Callable[[Lane, list[Job]], None],
    ) -> None:
        self._outcomes = outcomes
        self._sick = sick
        self._may_start = may_start
        self._start = start
        self._held = 0
        self._waiting: dict[Lane, None] = {}
        self._stopping = False
        self.ask: Callable[[Lane], None] = lambda lane: None

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return self._held >= MAX_HELD

    @property
    def have_room(self) -> bool:
        """Whether one that comes now may wait here."""
        return not (self.full or self._stopping)

    def hold(self, lane: Lane, job: Job) -> None:
        """It waits here."""
        batching.hold(lane, job, asyncio.get_running_loop().time())
        if lane.strained:
            self._sick.wait(lane)
        self._held += 1
        self._waiting[lane] = None

    def queue(self, lane: Lane, job: Job) -> None:
        """It waits in the ledger; ``queued`` until the due loop finds that nothing more does."""
        recorded = job.recorded or (lambda: None)
        self._outcomes.keep(job.received)
        lane.queued = True
        lane.overflows += 1
        lane.unwritten += 1

        def written() -> None:
            lane.unwritten -= 1
            recorded()

        job.recorded = written
        self._outcomes.submit(job, Status.PENDING, 0.0)

    def give_back(self, lane: Lane, keep: int = 0) -> None:
        """What waits here, but for the oldest few, waits in the ledger's queue again."""
        while len(lane.backlog) > keep:
            self._held -= 1
            self.queue(lane, batching.last(lane))
        if not lane.backlog:
            self._waiting.pop(lane, None)

    def dropped(self, lane: Lane) -> Iterator[Job]:
        """Gives what waits in a lane that is no more, which waits no longer."""
        self._waiting.pop(lane, None)
        while lane.backlog:
            self._held -= 1
            yield batching.first(lane)

    def gather(self, lane: Lane) -> None:
        """Sends what waits for a request of several events, now or once that is complete."""
        if lane.batch is None or not lane.backlog:
            return
        loop = asyncio.get_running_loop()
        left = batching.wait(lane, loop.time())
        if left <= 0:
            self.drain(lane)
        elif lane.timer is None:
            lane.timer = loop.call_later(left, self._complete, lane)

    def drain(self, lane: Lane, most: int | None = None) -> None:
        """Begins as many requests of a lane as may begin, ``most`` at the most."""
        if not lane.backlog and not lane.queued:
            return
        now = asyncio.get_running_loop().time()
        gathers = False
        while most != 0 and lane.backlog and self._may_start(lane):
            gathers = batching.wait(lane, now) > 0
            if gathers:
                break
            most = None if most is None else most - 1
            jobs = batching.take(lane)
            self._held -= len(jobs)
            if now < jobs[0].delivery.held_until - LEASE_MARGIN:
                self._start(lane, jobs)
            else:  # their hold may end before the start is recorded
                for job in jobs:
                    self.queue(lane, job)
        if not lane.backlog:
            self._waiting.pop(lane, None)
        elif gathers:
            self.gather(lane)
        elif lane.strained and lane.starts:
            self._sick.wait(lane)
        if lane.hungry:
            self.ask(lane)

    def kick(self) -> None:
        """Begins what may begin now, in all lanes."""
        for lane in list(self._waiting):
            if not lane.strained:  # they have their turn
                self.drain(lane)

    def pass_on(self) -> None:
        """All places were taken: one that has become free goes to the lanes that wait, in turn."""
        for lane in list(itertools.islice(self._waiting, IN_TURN)):
            del self._waiting[lane]
            self._waiting[lane] = None
            if not lane.strained:
                self.drain(lane, 1)

    def stop(self) -> None:
        """Gives back what waits; nothing more is held."""
        self._stopping = True
        for lane in list(self._waiting):
            self.give_back(lane)

    def _complete(self, lane: Lane) -> None:
        lane.timer = None
        self.gather(lane)
