"""Expiry: turns deliveries past their deadline into dead letters, before the log drops the event.

That is also for deliveries that no lane takes: of a disabled webhook, behind an open circuit
breaker or a rate limit, or of a lane that is always full.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping

import structlog

from event_gateway.beats import beat
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.core.webhook.retry_policy import LONGEST_WAIT
from event_gateway.delivery.deadlines import Deadlines
from event_gateway.delivery.handover import Handover
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.outcomes import BACKLOG_LEASE, LEASE_MARGIN
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two rounds
IDLE = 5.0  # the same while no delivery can be past its deadline in a queue
SWEEP = 60.0  # seconds after which a queue is swept again at the latest
PARTS = 20  # of a queue that are swept in one round


class ExpirySweep:
    """Leases deliveries past their deadline and hands them over: the dispatcher dead-letters
    them. ``lanes`` are those of this process by webhook."""

    def __init__(
        self, queues: Queues, deadlines: Deadlines, lanes: Mapping[str, Lane], handover: Handover
    ) -> None:
        self._queues = queues
        self._deadlines = deadlines
        self._lanes = lanes
        self._handover = handover
        # For each queue: when to sweep it next, on the loop's clock, and from which part on.
        self._next: dict[str, tuple[float, int]] = {}

    async def run(self) -> None:
        """Sweeps again and again. It never returns."""
        while True:
            await beat(INTERVAL if self._next else IDLE)
            with contextlib.suppress(*StateError, LogUnavailable):
                await self._round()

    async def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        webhooks = await self._queues.paused_gated_or_due()
        self._next = {each: self._next.get(each, (-1.0, 0)) for each in webhooks}
        for webhook_id in webhooks:
            sweep_at, part = self._next[webhook_id]
            lane = self._lanes.get(webhook_id)
            if sweep_at > now or lane is None:
                continue
            max_age = self._deadlines.max_age_of(lane.webhook)
            interval = min(SWEEP, max(INTERVAL, max_age / 20))
            if sweep_at < 0:  # spread out, where many queues fill at the same time
                self._next[webhook_id] = (now + interval * random.random(), 0)  # noqa: S311
                continue
            part = await self._sweep(webhook_id, part, max_age)
            self._next[webhook_id] = (now + interval, 0) if part < 0 else (0.0, part)

    async def _sweep(self, webhook_id: str, part: int, max_age: float) -> int:
        """Sweeps some parts of a queue; returns where to go on, -1 at its end."""
        for _ in range(PARTS):
            deliveries, part = await self._queues.expired(
                webhook_id, part, max_age, BACKLOG_LEASE + LEASE_MARGIN
            )
            if deliveries:
                log.info("deliveries have expired", webhook=webhook_id, count=len(deliveries))
                # The log keeps an event longer than any delivery may wait for it.
                dropped_before = time.time() - self._deadlines.max_age / LONGEST_WAIT
                await self._handover.hand_over(deliveries, dropped_before=dropped_before)
            if part < 0:
                break
        return part
