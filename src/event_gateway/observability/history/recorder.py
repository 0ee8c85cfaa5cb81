"""Writes what this process has counted to the history, every ten seconds at most.

A process that has counted nothing still writes once a minute, to show that it was running: a span
in which no process ran is a gap. While Redis is away the latest points wait; older ones become
gaps.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from event_gateway.core.observability.history_points import (
    UNKNOWN,
    GatewayPoint,
    WebhookPoint,
)
from event_gateway.core.observability.history_spans import SLOT, WEBHOOK_RING
from event_gateway.observability.history.counts import ProcessCounts
from event_gateway.state.connection import StateError
from event_gateway.state.history import HistoryStore

log = structlog.get_logger(__name__)

INTERVAL = float(SLOT)  # seconds between two writes
SETTLING = 0.2  # seconds after the end of a step, for what was counted at its end
IDLE_POINTS = 6  # points with nothing in them that wait to be written together
MAX_WAITING = 90  # points that wait while Redis is away: a quarter of an hour
MAX_POINTS = 30  # of them in one write
MAX_WEBHOOKS = 100  # points of webhooks in one write, which takes Redis some 5 ms then
MAX_WAITING_WEBHOOKS = 10_000  # points of webhooks that wait
REFUSED_FOR = 600.0  # seconds for which a webhook without room in the history is not counted
FINISH_TIMEOUT = 2.0  # seconds for the last write


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Values that are measured at a moment, and not counted. None: this process does not know it.

    ``lag``: events not routed yet, and for how many seconds the oldest has waited; ``waiting``:
    deliveries in the queues, and the age of their oldest event; ``depths``: deliveries in the
    queue, by webhook.
    """

    subscribers: int
    lag: tuple[int, float] | None
    waiting: tuple[int, float] | None
    depths: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Write:
    number: int
    points: list[GatewayPoint]
    webhooks: list[tuple[str, WebhookPoint]]
    incomplete: bool


class HistoryRecorder:
    """Takes the ``counts`` and ``levels`` of this process at the end of each step, by Redis' clock.

    ``known``: whether a webhook is registered; others have no history.
    """

    def __init__(
        self,
        store: HistoryStore,
        counts: ProcessCounts,
        *,
        levels: Callable[[], Levels],
        known: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._counts = counts
        self._levels = levels
        self._known = known
        self._points: deque[GatewayPoint] = deque(maxlen=MAX_WAITING)
        self._webhooks: dict[tuple[str, int], WebhookPoint] = {}
        self._depths_told: dict[str, int] = {}  # the step for which a queue's depth was told
        self._incomplete = False
        self._refused: dict[str, float] = {}  # until when, on the steady clock
        self._ahead: float | None = None  # of Redis' clock before this process' steady one
        self._subscribers_told = (0, 0)  # a step, and what was told for it
        self._number = 0
        self._unconfirmed: _Write | None = None

    async def run(self) -> None:
        """Records for ever."""
        while True:
            await self._read_clock()
            end = (math.floor(self.now() / INTERVAL) + 1) * INTERVAL
            await asyncio.sleep(end - self.now() + min(SETTLING, INTERVAL / 4))
            self.take(end - INTERVAL / 2)
            await self.write()

    async def finish(self) -> None:
        """Writes what was counted to the end."""
        self.take(self.now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_TIMEOUT):
                await self.write(all_of_it=True)

    def now(self) -> float:
        """The time of Redis' clock, in seconds since the epoch, as far as it is known."""
        return time.time() if self._ahead is None else time.monotonic() + self._ahead

    def take(self, now: float) -> None:
        """Takes what was counted since the last call, for the step of 10 seconds with this time."""
        begin = math.floor(now / SLOT) * SLOT
        point, webhooks, skipped = self._counts.take(begin)
        levels = self._levels()
        told = self._subscribers_told[1] if self._subscribers_told[0] == begin else 0
        self._subscribers_told = begin, levels.subscribers
        point.subscribers = levels.subscribers - told
        point.covered = SLOT
        point.lag, point.lag_ms = _level(levels.lag)
        point.waiting, point.oldest_ms = _level(levels.waiting)
        if self._points and self._points[-1].time == begin:
            self._points[-1].add(point)
        else:
            self._points.append(point)
        self._incomplete |= skipped
        for webhook, more in webhooks.items():
            if webhook not in self._refused:
                self._add_webhook(webhook, more)
        self._add_depths(levels.depths, begin)

    async def write(self, *, all_of_it: bool = False) -> None:
        """Writes the waiting points, up to a bound, if any of them counts something. ``all_of_it``:
        writes all of them, whatever they count."""
        while True:
            write = self._unconfirmed or self._next(idle_too=all_of_it)
            if write is None:
                return
            self._unconfirmed = write
            before = time.monotonic()
            try:
                now, refused = await self._store.write(
                    write.number, write.points, write.webhooks, incomplete=write.incomplete
                )
            except StateError as error:
                log.debug("the history is not written", error=str(error))
                return
            self._unconfirmed = None
            self._refuse(refused, before)
            self._ahead = now - (before + time.monotonic()) / 2
            if not all_of_it and len(self._points) < MAX_POINTS:
                return

    def unwritten(self) -> tuple[list[GatewayPoint], list[tuple[str, WebhookPoint]]]:
        """What this process has counted and Redis does not have yet: points of the gateway, and of
        webhooks by id."""
        sent = self._unconfirmed
        points = [*(sent.points if sent else ()), *self._points]
        webhooks = [*(sent.webhooks if sent else ())]
        return points, webhooks + [(each[0], point) for each, point in self._webhooks.items()]

    def _next(self, *, idle_too: bool) -> _Write | None:
        if not self._points and not self._webhooks:
            return None
        idle = all(point.is_idle for point in self._points) and not self._webhooks
        if idle and not idle_too and len(self._points) < IDLE_POINTS:
            return None
        points = [self._points.popleft() for _ in range(min(len(self._points), MAX_POINTS))]
        webhooks = list(self._taken_webhooks())
        incomplete, self._incomplete = self._incomplete, False
        self._number += 1
        return _Write(self._number, points, webhooks, incomplete)

    def _taken_webhooks(self) -> Iterator[tuple[str, WebhookPoint]]:
        """Those that wait longest."""
        for key in list(self._webhooks)[:MAX_WEBHOOKS]:
            point = self._webhooks.pop(key)
            if self._known(key[0]):
                yield key[0], point

    def _add_webhook(self, webhook: str, more: WebhookPoint) -> None:
        begin = more.time - more.time % WEBHOOK_RING.step
        known = self._webhooks.get((webhook, begin))
        if known is not None:
            known.add(more)
        elif len(self._webhooks) < MAX_WAITING_WEBHOOKS:
            more.time = begin
            self._webhooks[webhook, begin] = more
        else:
            self._incomplete = True

    def _add_depths(self, depths: Mapping[str, int], now: int) -> None:
        """Tells the depth of a queue once in a step, and whenever the webhook has attempts."""
        begin = now - now % WEBHOOK_RING.step
        for webhook, depth in depths.items():
            told = self._depths_told.get(webhook) == begin
            if (webhook, begin) in self._webhooks or not (told or webhook in self._refused):
                self._add_webhook(webhook, WebhookPoint(now, waiting=depth))
        self._depths_told = dict.fromkeys(depths, begin)

    def _refuse(self, webhooks: list[str], now: float) -> None:
        for webhook in [each for each, until in self._refused.items() if until < now]:
            del self._refused[webhook]
        for webhook in webhooks[: MAX_WAITING_WEBHOOKS - len(self._refused)]:
            self._refused[webhook] = now + REFUSED_FOR

    async def _read_clock(self) -> None:
        if self._ahead is None:
            before = time.monotonic()
            with contextlib.suppress(*StateError):
                now = await self._store.now()
                self._ahead = now - (before + time.monotonic()) / 2


def _level(level: tuple[int, float] | None) -> tuple[int, int]:
    """A number and seconds, as points have them."""
    return (UNKNOWN, UNKNOWN) if level is None else (level[0], round(level[1] * 1000))
