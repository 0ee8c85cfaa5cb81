"""Upkeep: dead letters for what waited too long, and lanes that agree with the registry."""

import asyncio
import contextlib
import random

import structlog

from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.peers import Peers
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.due_loop import DueLoop
from event_gateway.delivery.outcomes import HOLD, LEASE_MARGIN, Outcomes
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between looks
RECONCILE = 30  # looks between two comparisons of what is paused
SWEEP = 60.0  # seconds after which a queue is looked through again at the latest
TRIES = 20  # parts of a queue that are looked through at a time


class Upkeep:
    """Sees to it that every delivery ends before the log drops its event, also one that nobody
    takes: paused, behind an open breaker or a rate, or in a lane that is always full."""

    def __init__(
        self,
        queues: Queues,
        outcomes: Outcomes,
        dispatcher: Dispatcher,
        due: DueLoop,
        peers: Peers,
    ) -> None:
        self._queues = queues
        self._outcomes = outcomes
        self._dispatcher = dispatcher
        self._due = due
        self._peers = peers
        self._looks = 0
        # When a queue is worth another look, on the loop's clock, and where in it.
        self._again: dict[str, tuple[float, int]] = {}

    async def learn(self) -> None:
        """Takes up how the lanes stand. Raises what StateError names."""
        self._dispatcher.divide(*self._peers.index_and_count)
        paused, shut = await self._queues.paused_and_open()
        self._dispatcher.standing.learn(shut)
        if self._looks % RECONCILE == 0:
            self._dispatcher.standing.reconcile(paused)
        self._looks += 1

    def reconcile(self) -> None:
        """Compares what is paused at the next look: what Redis says of it may be old."""
        self._looks = 0

    async def run(self) -> None:
        """Goes on for ever."""
        while True:
            await asyncio.sleep(LOOK)
            with contextlib.suppress(*StateError, LogUnavailable):
                await self.learn()
                await self._sweep()

    async def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        waiting = await self._queues.webhooks_waiting()
        self._again = {one: self._again.get(one, (-1.0, 0)) for one in waiting}
        for webhook_id in waiting:
            again, begin = self._again[webhook_id]
            lane = self._dispatcher.lanes.get(webhook_id)
            if again > now or lane is None:
                continue
            max_age = self._outcomes.longest(lane.webhook)
            wait = min(SWEEP, max(LOOK, max_age / 20))
            if again < 0:  # not all at once, where many begin to wait together
                self._again[webhook_id] = (now + wait * random.random(), 0)  # noqa: S311
                continue
            for _ in range(TRIES):
                taken, begin = await self._queues.expired(
                    webhook_id, begin, max_age, HOLD + LEASE_MARGIN
                )
                if taken:
                    log.info("deliveries have expired", webhook=webhook_id, count=len(taken))
                    await self._due.hand_over(taken)
                if begin < 0:
                    break
            self._again[webhook_id] = (now + wait, 0) if begin < 0 else (0.0, begin)
