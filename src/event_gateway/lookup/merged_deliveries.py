"""Merges the lists of deliveries of many webhooks: reads only where the next ones can be.

Two deliveries with the same score come in the order of their webhooks' ids, so that a place in the
merged list names one place in the list of each webhook.
"""

import heapq
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from event_gateway.core.webhook.delivery import Status
from event_gateway.state.script_arguments import ListPlace, ListRequest
from event_gateway.state.tracking import TrackedDelivery, Tracking, in_ms

AT_A_TIME = 1000  # webhooks whose first delivery is looked up, or deliveries read, in a call
WEBHOOKS_PER_CALL = 32  # whose deliveries are read in one call
FEWEST = 16  # deliveries of a webhook that are read at a time


class Place(NamedTuple):
    """Where the merged list goes on: after a delivery; without a member, before all of its webhook
    with that score; without a score, at the begin."""

    score: str = ""
    webhook: str = ""
    member: str = ""


class _Source:
    """The list of one webhook. ``score``: that of its next delivery, or one before it."""

    __slots__ = ("count", "more", "place", "rows", "score")

    def __init__(self, place: ListPlace, score: str) -> None:
        self.place = place
        self.score = score
        self.rows: list[TrackedDelivery] = []  # the next one last
        self.more = True
        self.count = FEWEST


class MergedDeliveries:
    """The deliveries of some webhooks: those in their queues (``waits``), in the order of their
    attempts, or those that changed last, the latest first. ``read``: how many it has looked at."""

    def __init__(
        self,
        tracking: Tracking,
        *,
        waits: bool,
        status: Status | None,
        until: float | None,
        unless_recent: bool,
    ) -> None:
        self._tracking = tracking
        self._request = ListRequest(
            queued=waits,
            status="" if status is None else status.value,
            until=None if until is None else in_ms(until),
            count=1,
            unless_recent=unless_recent,
            places=[],
        )
        self._heap: list[tuple[float, str, _Source]] = []
        self._begin = Place()
        self.read = 0

    async def begin(self, places: Iterable[ListPlace], after: Place) -> None:
        """Looks up where the list of each webhook goes on after a place of the merged list."""
        self._begin = after
        going_on = (_within(place, after) for place in places)
        while some := list(itertools.islice(going_on, AT_A_TIME)):
            if len(some) == 1 and not self._heap:  # it is read anyway
                self._push(_Source(some[0], after.score))
                return
            scores = await self._tracking.heads(self._asked(some, 1))
            for place, score in zip(some, scores, strict=True):
                if score:
                    self._push(_Source(place, score))

    async def take(self, limit: int, most: int) -> tuple[list[TrackedDelivery], Place | None]:
        """At most ``limit`` deliveries, of about ``most`` that it looks at, and where the list goes
        on; None: nowhere."""
        taken: list[TrackedDelivery] = []
        while self._heap:
            _, name, source = self._heap[0]
            if not source.rows:
                if self.read >= most:
                    return taken, Place(source.score, name, source.place.member)
                await self._refill(limit - len(taken))
                continue
            if len(taken) == limit:
                return taken, self._after(taken)
            heapq.heappop(self._heap)
            taken.append(source.rows.pop())
            self._push(source)
        return taken, None

    def _after(self, taken: list[TrackedDelivery]) -> Place:
        if not taken:
            return self._begin
        return Place(taken[-1].score, taken[-1].webhook_id, taken[-1].member)

    async def _refill(self, wanted: int) -> None:
        """Reads what follows in the lists that come first, and of which nothing is left."""
        sources: list[_Source] = []
        while self._heap and len(sources) < WEBHOOKS_PER_CALL and not self._heap[0][2].rows:
            sources.append(heapq.heappop(self._heap)[2])
        most = max(source.count for source in sources)
        count = min(max(most, wanted // len(sources)), max(FEWEST, AT_A_TIME // len(sources)))
        parts = await self._tracking.read(self._asked([s.place for s in sources], count))
        for source, part in zip(sources, parts, strict=True):
            self.read += part.read
            source.rows = part.listed[::-1]
            source.more = part.more
            source.count = min(2 * count, AT_A_TIME)
            if part.score:
                source.score = part.score
                source.place = msgspec.structs.replace(
                    source.place, bound=part.score, member=part.member
                )
            self._push(source)

    def _push(self, source: _Source) -> None:
        if not (source.rows or source.more):
            return
        score = float((source.rows[-1].score if source.rows else source.score) or 0)
        key = score if self._request.queued else -score
        heapq.heappush(self._heap, (key, source.place.webhook, source))

    def _asked(self, places: list[ListPlace], count: int) -> ListRequest:
        return msgspec.structs.replace(self._request, places=places, count=count)


def _within(place: ListPlace, after: Place) -> ListPlace:
    """Where the list of a webhook goes on after a place of the merged list."""
    if not after.score:
        return place
    if place.webhook == after.webhook:
        return msgspec.structs.replace(place, bound=after.score, member=after.member)
    passed = "(" if place.webhook < after.webhook else ""
    return msgspec.structs.replace(place, bound=f"{passed}{after.score}")
