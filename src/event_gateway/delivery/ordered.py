"""Ordered webhooks: deliveries in the order of the log, retries in place.

One process at a time holds such a webhook, under a lease. It reads the log itself, and keeps the
deliveries out of the queues: nothing overtakes one that waits for its next attempt. With a key
(``ordered: {by: …}``) that holds for events of the same key, and keys run side by side.
"""

import asyncio
import contextlib
import functools
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable

import msgspec
import structlog

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.path import path_of
from event_gateway.core.matching.selection import selection_values
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.delivery import FINAL, Delivery, Outcome, Retry, Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.job import Job
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.state.order import Order
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

LEASE = 15.0  # seconds for which a process holds a webhook
RENEW = 4.0  # seconds between renewals
MARGIN = 2.0  # seconds before its end at which a lease is no longer relied on
WINDOW = 1000  # unfinished deliveries of a webhook at a time; the log is not read beyond
SAVE = 0.1  # seconds between writes of how far a webhook has come
AGAIN = 1.0  # seconds until a failed look at Redis is repeated

Source = Callable[[Webhook, str, int], AsyncGenerator[tuple[list[Received], int]]]


class OrderedDeliveries:
    """All ordered webhooks, as far as this process holds them."""

    def __init__(
        self,
        order: Order,
        ledger: Ledger,
        dispatcher: Dispatcher,
        events: EventLog,
        source: Source,
        supervisor: Supervisor,
    ) -> None:
        self._order = order
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._source = source
        self._supervisor = supervisor
        self._streams = (EVENTS, *(one.name for one in events.external))
        self._workers: dict[str, tuple[Webhook, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._started = False
        self._waiting: dict[str, Webhook] = {}
        self._gone: set[str] = set()

    def start(self) -> None:
        """Begins to deliver."""
        self._started = True
        for webhook in self._waiting.values():
            self._begin(webhook)
        self._waiting.clear()

    def put(self, webhook: Webhook) -> None:
        """Takes up a webhook, or its change; one that is not ordered is none of these."""
        former = self._workers.get(webhook.id)
        if not webhook.ordered:
            self.remove(webhook.id)
        elif not self._started:
            self._waiting[webhook.id] = webhook
        elif former is None or _reads(former[0]) != _reads(webhook):
            self.remove(webhook.id)
            self._begin(webhook)

    def remove(self, webhook_id: str, *, gone: bool = False) -> None:
        """Leaves a webhook; ``gone``: what was begun for it is cancelled."""
        self._waiting.pop(webhook_id, None)
        worker = self._workers.pop(webhook_id, None)
        if worker is not None:
            if gone:
                self._gone.add(webhook_id)
            worker[1].cancel()
            self._ending.add(worker[1])
            worker[1].add_done_callback(self._ending.discard)

    async def stop(self, timeout: float) -> None:
        """Begins nothing more; attempts that run may go on for ``timeout`` seconds."""
        self._started = False
        for webhook_id in list(self._workers):
            self.remove(webhook_id)
        if self._ending:
            await asyncio.wait(self._ending, timeout=timeout)
        await end(self._ending)

    def _begin(self, webhook: Webhook) -> None:
        run = functools.partial(self._run, webhook)
        task = self._supervisor.start("ordered", run, about=webhook.id)
        self._workers[webhook.id] = (webhook, task)

    async def _run(self, webhook: Webhook) -> None:
        while True:
            try:
                began = time.monotonic()
                if await self._order.hold(webhook.id, LEASE):
                    await self._deliver(webhook, began + LEASE)
            except (*StateError, *BrokerError) as error:
                log.warning("an ordered webhook waits", webhook=webhook.id, error=str(error))
            await asyncio.sleep(AGAIN)

    async def _deliver(self, webhook: Webhook, held_until: float) -> None:
        """Delivers for as long as the lease is held."""
        lines = [
            _Line(webhook, stream, self._order, self._ledger, self._dispatcher, self._source)
            for stream in self._streams
        ]
        tasks = [asyncio.create_task(line.run()) for line in lines]
        try:
            while not any(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=RENEW, return_when=asyncio.FIRST_COMPLETED)
                began = time.monotonic()
                with contextlib.suppress(*StateError):
                    if not await self._order.hold(webhook.id, LEASE):
                        return
                    held_until = began + LEASE
                if time.monotonic() + RENEW > held_until - MARGIN:
                    log.warning("an ordered webhook is given up", webhook=webhook.id)
                    return
            for task in tasks:
                if task.done():
                    await task  # raises what it failed with
        finally:
            await end(tasks)
            for line in lines:
                await line.settled()
            with contextlib.suppress(*StateError):
                if webhook.id in self._gone:
                    self._gone.discard(webhook.id)
                    for line in lines:
                        await line.cancel()
                    await self._order.forget(webhook.id)
                # Who comes next need not wait for the end of the lease.
                await self._order.release(webhook.id)


class _Line:
    """One webhook's events of one stream: those in work, by key, and what is done."""

    def __init__(
        self,
        webhook: Webhook,
        stream: str,
        order: Order,
        ledger: Ledger,
        dispatcher: Dispatcher,
        source: Source,
    ) -> None:
        self._webhook = webhook
        self._stream = stream
        self._order = order
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._source = source
        self._open: dict[int, bool] = {}  # by sequence, in its order: whether it is done
        self._begun: dict[int, Job] = {}
        self._keys: dict[bytes, deque[Received]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: set[asyncio.Future[Outcome]] = set()
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()  # of several keys one asks for a place in the lane
        self._done = 0
        self._read = 0
        self._high = 0
        self._failed: BaseException | None = None  # what work on a key failed with

    async def run(self) -> None:
        """Reads and delivers until it is cancelled; ends where a key's deliveries have failed."""
        webhook, stream = self._webhook, self._stream
        self._high = await self._ledger.highest(stream)
        since = webhook.since if stream == EVENTS else webhook.since_in.get(stream, 0)
        self._done = self._read = max(since, await self._order.position(webhook.id, stream))
        saving = asyncio.create_task(self._save())
        try:
            async with contextlib.aclosing(
                self._source(webhook, stream, self._done + 1)
            ) as batches:
                async for events, read in batches:
                    for received in events:
                        await self._accept(received)
                    self._read = max(self._read, read)
                    if saving.done():
                        await saving
                    self._check()
        finally:
            await end([saving, *self._tasks])

    async def settled(self) -> None:
        """Returns once no attempt runs that was begun here."""
        if self._attempts:
            await asyncio.wait(self._attempts)

    async def cancel(self) -> None:
        """Records that nobody wants any more what was begun and waits for another attempt."""
        for job in list(self._begun.values()):
            await self._dispatcher.start_in_order(job)  # which finds that the webhook is gone

    async def _accept(self, received: Received) -> None:
        while len(self._open) >= WINDOW:
            self._room.clear()
            await self._room.wait()
            self._check()
        self._open[received.seq] = False
        self._read = received.seq
        key = _key(received, self._webhook.ordered_by)
        waiting = self._keys.get(key)
        if waiting is not None:
            waiting.append(received)
            return
        self._keys[key] = deque([received])
        task = asyncio.create_task(self._work_off(key))
        self._tasks.add(task)
        task.add_done_callback(self._worked_off)

    def _worked_off(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed = task.exception()
            self._room.set()

    def _check(self) -> None:
        """Raises what the work on a key failed with, as its later events would wait for ever."""
        if self._failed is not None:
            raise self._failed

    async def _work_off(self, key: bytes) -> None:
        waiting = self._keys[key]
        while waiting:
            await self._one(waiting[0])
            received = waiting.popleft()
            self._begun.pop(received.seq, None)
            self._open[received.seq] = True
            while self._open and self._open[first := next(iter(self._open))]:
                self._done = first
                del self._open[first]
            self._room.set()
        del self._keys[key]

    async def _one(self, received: Received) -> None:
        """Delivers one event, however often that takes."""
        event = received.event
        delivery = Delivery(
            self._webhook.id, event.id, event.source, self._stream, received.seq,
            f"ordered.{self._stream}.{received.seq}", event_at=received.time,
        )  # fmt: skip
        wait = 0.0
        if received.seq <= self._high:
            found = await self._found(delivery)
            if found is None:
                return
            wait = found
        while True:
            await asyncio.sleep(wait)
            try:
                outcome = await self._attempt(delivery, received)
            except StateError:
                wait = AGAIN
                continue
            if not isinstance(outcome, Retry):
                return
            wait = outcome.delay

    async def _found(self, delivery: Delivery) -> float | None:
        """Carries on with what was begun before: seconds to wait, None where it is done."""
        while True:
            try:
                record = await self._ledger.read(
                    delivery.webhook_id, delivery.event_id, delivery.source
                )
                break
            except StateError:
                await asyncio.sleep(AGAIN)
        if record is None or record.seq < delivery.seq:
            return 0.0
        if record.status in FINAL or record.seq > delivery.seq or record.repeats:
            return None  # what is repeated on request goes by the queue
        delivery.attempts, delivery.run = record.attempts, record.run
        delivery.failed = record.status is Status.FAILED
        if record.status is Status.RETRYING and record.next_attempt_at is not None:
            return max(0.0, record.next_attempt_at - time.time())
        return 0.0

    async def _attempt(self, delivery: Delivery, received: Received) -> Outcome:
        settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome) -> None:
            if not settled.done():
                settled.set_result(outcome)

        job = Job(delivery, received, on_outcome=settle)
        if not delivery.attempts:
            job.on_recorded = _nothing  # the first that the ledger hears of it
        self._begun[received.seq] = job
        async with self._turn:
            await self._dispatcher.start_in_order(job)
        self._attempts.add(settled)
        settled.add_done_callback(self._attempts.discard)
        # Shielded: an attempt that runs when this ends is let finish, and its outcome recorded.
        return await asyncio.shield(settled)

    async def _save(self) -> None:
        saved = self._done
        while True:
            await asyncio.sleep(SAVE)
            done = self._done if self._open else max(self._done, self._read)
            if done > saved:
                with contextlib.suppress(*StateError):
                    await self._order.advance(self._webhook.id, self._stream, done)
                    saved = done


def _nothing() -> None:
    """Nobody waits for its first record."""


def _reads(webhook: Webhook) -> Webhook:
    """What of a webhook decides which events it gets, in which order."""
    return Webhook(
        webhook.id, "", webhook.events, **selection_values(webhook),
        since=webhook.since, since_in=webhook.since_in, created_at=webhook.created_at,
        ordered=webhook.ordered, ordered_by=webhook.ordered_by,
    )  # fmt: skip


def _key(received: Received, path: str) -> bytes:
    """What events have in common that keep their order; empty where they all do."""
    if not path:
        return b""
    value = path_of(path).value(received)
    return b"-" if value is msgspec.UNSET else msgspec.json.encode(value)
