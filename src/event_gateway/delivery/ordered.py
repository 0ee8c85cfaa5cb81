"""Ordered webhooks: deliveries in the order of the log, with retries in place.

One process at a time delivers to such a webhook, under a lease. It reads the log itself
(:mod:`.ordered_line`) and keeps the deliveries out of the queues, so that nothing overtakes a
delivery that waits for its next attempt. With a key (``ordered: {by: …}``) the order holds for
events of the same key, and different keys are delivered side by side.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.positions import PositionCopies
from event_gateway.core.matching.selection import selection_values
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.ordered_line import OrderedLine, Source
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.order import Order
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

LEASE = 15.0  # seconds for which a process owns a webhook
RENEW = 4.0  # seconds between renewals
MARGIN = 2.0  # seconds before its end at which a lease is no longer relied on
TRY_AGAIN = 1.0  # seconds until the next try to take a lease


@dataclass(slots=True, eq=False)
class _Worker:
    """The delivery of one ordered webhook in this process.

    ``predecessors``: tasks of former workers of the same id that have not ended yet. ``deleted``:
    it ends because the webhook was deleted, so that its unfinished deliveries are cancelled.
    ``lines``: those that deliver now.
    """

    webhook: Webhook
    predecessors: list[asyncio.Task[None]]
    task: asyncio.Task[None] = field(init=False)
    deleted: bool = False
    lines: list[OrderedLine] = field(default_factory=list)


class OrderedDeliveries:
    """All ordered webhooks, as far as this process has their leases. ``source`` reads a webhook's
    events from a stream; ``copies`` has the positions where Redis has lost them; ``logs`` is what
    is known of the streams."""

    def __init__(
        self,
        order: Order,
        ledger: Ledger,
        dispatcher: Dispatcher,
        events: EventLog,
        *,
        copies: PositionCopies,
        logs: Mapping[str, KnownLog],
        source: Source,
        supervisor: Supervisor,
    ) -> None:
        self._order = order
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._copies = copies
        self._logs = logs
        self._source = source
        self._supervisor = supervisor
        self._streams = (EVENTS, *(stream.name for stream in events.external))
        self._workers: dict[str, _Worker] = {}
        self._ending: list[_Worker] = []
        self._started = False
        self._not_started: dict[str, Webhook] = {}  # webhooks registered before start()

    def start(self) -> None:
        """Starts to deliver."""
        self._started = True
        for webhook in self._not_started.values():
            self._start_worker(webhook)
        self._not_started.clear()

    def put(self, webhook: Webhook) -> None:
        """Applies a webhook's definition, new or changed; leaves it alone if it is not ordered."""
        former = self._workers.get(webhook.id)
        if not webhook.ordered:
            self.remove(webhook.id)
        elif not self._started:
            self._not_started[webhook.id] = webhook
        elif former is None or _order_of(former.webhook) != _order_of(webhook):
            self.remove(webhook.id)
            self._start_worker(webhook)

    def remove(self, webhook_id: str, *, deleted: bool = False) -> None:
        """Stops delivering to a webhook; ``deleted``: its unfinished deliveries are cancelled."""
        self._not_started.pop(webhook_id, None)
        worker = self._workers.pop(webhook_id, None)
        if worker is not None:
            worker.task.cancel()
            self._ending.append(worker)
            worker.task.add_done_callback(lambda _: self._ending.remove(worker))
        if deleted:
            for ending in self._ending_of(webhook_id):
                ending.deleted = True

    def begin_again(self) -> None:
        """Ends all reading of the logs, and reads on from the positions as they count now."""
        for worker in list(self._workers.values()):
            self.remove(worker.webhook.id)
            self._start_worker(worker.webhook)

    def waiting(self) -> Iterator[tuple[str, float]]:
        """The webhooks of this process with unfinished events, and since when (Unix time)
        the oldest of these waits."""
        for worker in self._workers.values():
            since = [line.waiting_since for line in worker.lines]
            waiting = [each for each in since if each is not None]
            if waiting:
                yield worker.webhook.id, min(waiting)

    async def stop(self, timeout: float) -> None:
        """Starts no more attempts; those in flight may take ``timeout`` seconds."""
        self._started = False
        for webhook_id in list(self._workers):
            self.remove(webhook_id)
        ending = [worker.task for worker in self._ending]
        if ending:
            await asyncio.wait(ending, timeout=timeout)
        await end(ending)

    def _start_worker(self, webhook: Webhook) -> None:
        worker = _Worker(webhook, [former.task for former in self._ending_of(webhook.id)])
        run = functools.partial(self._run, worker)
        worker.task = self._supervisor.start("ordered", run, about=webhook.id)
        self._workers[webhook.id] = worker

    def _streams_of(self, webhook: Webhook) -> tuple[str, ...]:
        return (*self._streams, LIFECYCLE) if webhook.reads_lifecycle else self._streams

    def _ending_of(self, webhook_id: str) -> list[_Worker]:
        return [worker for worker in self._ending if worker.webhook.id == webhook_id]

    async def _run(self, worker: _Worker) -> None:
        webhook = worker.webhook
        if worker.predecessors:
            # This process has one lease of the webhook: they release it, and may forget the
            # positions.
            await asyncio.wait(worker.predecessors)
            worker.predecessors.clear()
        while True:
            try:
                started = time.monotonic()
                if await self._order.lease(webhook.id, LEASE):
                    await self._deliver(worker, started + LEASE)
            except (*StateError, *BrokerError) as error:
                log.warning(
                    "an ordered webhook waits for Redis or NATS",
                    webhook=webhook.id,
                    error=str(error),
                )
            await asyncio.sleep(TRY_AGAIN)

    async def _deliver(self, worker: _Worker, leased_until: float) -> None:
        """Delivers for as long as this process has the lease."""
        webhook = worker.webhook
        lines = [
            OrderedLine(
                webhook,
                stream,
                self._order,
                self._ledger,
                known_log=self._logs[stream],
                copies=self._copies,
                dispatcher=self._dispatcher,
                source=self._source,
            )
            for stream in self._streams_of(webhook)
        ]
        worker.lines = lines
        tasks = [asyncio.create_task(line.run(), name="ordered-line") for line in lines]
        try:
            while not any(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=RENEW, return_when=asyncio.FIRST_COMPLETED)
                started = time.monotonic()
                with contextlib.suppress(*StateError):
                    if not await self._order.lease(webhook.id, LEASE):
                        return
                    leased_until = started + LEASE
                if time.monotonic() + RENEW > leased_until - MARGIN:
                    log.warning(
                        "lease of an ordered webhook given up: Redis has not renewed it",
                        webhook=webhook.id,
                    )
                    return
            for task in tasks:
                if task.done():
                    await task  # raises what made it fail
        finally:
            worker.lines = []
            await end(tasks)
            for line in lines:
                await line.wait_for_attempts()
            with contextlib.suppress(*StateError):
                if worker.deleted:
                    for line in lines:
                        await line.cancel_deliveries()
                    await self._order.forget(webhook.id)
                    with contextlib.suppress(*BrokerError):
                        for stream in self._streams_of(webhook):
                            await self._copies.forget(webhook.id, stream)
                # The next process need not wait for the end of the lease.
                await self._order.release(webhook.id)


def _order_of(webhook: Webhook) -> Webhook:
    """The fields of a webhook that decide which events it gets, and in which order."""
    return Webhook(
        webhook.id, "", webhook.events, **selection_values(webhook),
        since=webhook.since, since_in=webhook.since_in, created_at=webhook.created_at,
        ordered=webhook.ordered, ordered_by=webhook.ordered_by,
    )  # fmt: skip
