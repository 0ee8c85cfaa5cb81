"""One ordered webhook's events of one stream, delivered key by key."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable

import msgspec

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.positions import PositionCopies
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.path import path_of
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.delivery import FINAL, Delivery, Outcome, Retry, Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.job import Job
from event_gateway.state.connection import StateError
from event_gateway.state.event_cache import DUPLICATE_WINDOW
from event_gateway.state.ledger import Ledger
from event_gateway.state.order import Order
from event_gateway.tasks import end

WINDOW = 1000  # unfinished deliveries at a time; the log is not read beyond them
WINDOW_BYTES = 16 * 1024 * 1024  # of their events' data
MAX_ACCEPTED = 10_000  # events by which duplicates are recognised
SAVE = 0.1  # seconds between two writes of the position
COPY = 1.0  # seconds between two copies of it
TRY_AGAIN = 1.0  # seconds until Redis is asked again after a failure

Source = Callable[[Webhook, str, int], AsyncGenerator[tuple[list[Received], int]]]


class OrderedLine:
    """Delivers one webhook's events of one stream: those of a key one after the other.

    ``source`` reads the events. The position, up to which all deliveries are done, is stored in
    Redis; another process goes on from there. ``copies`` has it where Redis has lost it.
    ``known_log`` is what is known of the stream.
    """

    def __init__(
        self,
        webhook: Webhook,
        stream: str,
        order: Order,
        ledger: Ledger,
        *,
        known_log: KnownLog,
        copies: PositionCopies,
        dispatcher: Dispatcher,
        source: Source,
    ) -> None:
        self._known_log = known_log
        self._copies = copies
        self._webhook = webhook
        self._stream = stream
        self._order = order
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._source = source
        self._unfinished: dict[int, bool] = {}  # by sequence, ascending: whether it is done
        self._unfinished_bytes = 0
        self._jobs: dict[int, Job] = {}  # by sequence, once attempted
        self._pending: dict[bytes, deque[Received]] = {}  # by key
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: set[asyncio.Future[Outcome]] = set()
        self._window_moved = asyncio.Event()
        self._starting = asyncio.Lock()  # only one key at a time waits for a slot of the lane
        self._accepted: dict[tuple[str, str], float] = {}  # source and id: when the log took it
        self._done = 0  # the position
        self._read = 0  # the sequence up to which the stream is read
        self._highest = 0  # the highest sequence that may have a record
        self._error: BaseException | None = None  # what made the deliveries of a key fail

    @property
    def waiting_since(self) -> float | None:
        """When the log took the oldest event whose delivery is not done, Unix time; None if there
        is none."""
        return min((events[0].time for events in self._pending.values() if events), default=None)

    async def run(self) -> None:
        """Reads and delivers until it is cancelled; raises what made a key's deliveries fail."""
        webhook, stream = self._webhook, self._stream
        self._highest = await self._ledger.highest(stream)
        since = webhook.since_of(stream)
        position = await self._order.position(webhook.id, stream, self._known_log)
        copied = await self._copies.read(webhook.id, stream, self._known_log)
        self._done = self._read = max(since, position, copied)
        saving = asyncio.create_task(self._save(), name="ordered-position")
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

    async def wait_for_attempts(self) -> None:
        """Returns once no attempt of this line is in flight, and the outcomes are recorded."""
        if self._attempts:
            await asyncio.wait(self._attempts)

    async def cancel_deliveries(self) -> None:
        """Records the cancellation of unfinished deliveries, after the webhook was deleted."""
        for job in list(self._jobs.values()):
            await self._dispatcher.start_in_order(job)  # which finds no webhook any more

    def _is_duplicate(self, received: Received) -> bool:
        """Whether the webhook got this event when it was published first, shortly before."""
        first = received.duplicate_of
        if first is not None and self._webhook.is_older_than(*first):
            return True
        accepted, identity = self._accepted, (received.event.source, received.event.id)
        since = received.time - DUPLICATE_WINDOW
        while accepted:
            oldest = next(iter(accepted))
            if accepted[oldest] >= since and len(accepted) < MAX_ACCEPTED:
                break
            del accepted[oldest]
        if identity in accepted:
            return True
        accepted[identity] = received.time
        return False

    async def _accept(self, received: Received) -> None:
        if self._is_duplicate(received):
            self._read = received.seq
            return
        while len(self._unfinished) >= WINDOW or self._unfinished_bytes >= WINDOW_BYTES:
            self._window_moved.clear()
            await self._window_moved.wait()
            self._check()
        self._unfinished[received.seq] = False
        self._unfinished_bytes += len(received.event.data)
        self._read = received.seq
        key = _key(received, self._webhook.ordered_by)
        waiting = self._pending.get(key)
        if waiting is not None:
            waiting.append(received)
            return
        self._pending[key] = deque([received])
        task = asyncio.create_task(self._deliver_key(key), name="ordered-key")
        self._tasks.add(task)
        task.add_done_callback(self._key_ended)

    def _key_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._window_moved.set()

    def _check(self) -> None:
        """Raises what made the deliveries of a key fail: its later events would wait for ever."""
        if self._error is not None:
            raise self._error

    async def _deliver_key(self, key: bytes) -> None:
        waiting = self._pending[key]
        while waiting:
            await self._deliver(waiting[0])
            received = waiting.popleft()
            self._jobs.pop(received.seq, None)
            self._unfinished_bytes -= len(received.event.data)
            self._unfinished[received.seq] = True
            while self._unfinished and self._unfinished[first := next(iter(self._unfinished))]:
                self._done = first
                del self._unfinished[first]
            self._window_moved.set()
        del self._pending[key]

    async def _deliver(self, received: Received) -> None:
        """Delivers one event, with as many attempts as that takes."""
        event = received.event
        delivery = Delivery(
            self._webhook.id, event.id, event.source, self._stream, received.seq,
            f"ordered.{self._stream}.{received.seq}", event_at=received.time,
        )  # fmt: skip
        wait = 0.0
        if received.seq <= self._highest:
            recorded_wait = await self._continue(delivery)
            if recorded_wait is None:
                return
            wait = recorded_wait
        while True:
            await self._dispatcher.wait_to_retry(self._webhook.id, wait)
            try:
                outcome = await self._attempt(delivery, received)
            except StateError:
                wait = TRY_AGAIN
                continue
            if not isinstance(outcome, Retry):
                return
            wait = outcome.delay

    async def _continue(self, delivery: Delivery) -> float | None:
        """Goes on from the record: seconds until the next attempt, None if the delivery is done."""
        while True:
            try:
                record = await self._ledger.read(
                    delivery.webhook_id, delivery.event_id, delivery.source
                )
                break
            except StateError:
                await asyncio.sleep(TRY_AGAIN)
        if record is None or record.seq < delivery.seq:
            return 0.0
        if record.seq != delivery.seq and record.updated_at < self._known_log.reset_at:
            return 0.0  # of a log that was lost
        if record.status in FINAL or record.seq > delivery.seq or record.run_by:
            return None  # retries by hand and replays go through the queue
        delivery.attempts, delivery.run = record.attempts, record.run
        delivery.failed = record.status is Status.FAILED
        if record.status is Status.RETRYING and record.next_attempt_at is not None:
            return max(0.0, record.next_attempt_at - time.time())
        return 0.0

    async def _attempt(self, delivery: Delivery, received: Received) -> Outcome:
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def on_outcome(outcome: Outcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        job = Job(delivery, received, on_outcome=on_outcome)
        if not delivery.attempts:
            job.on_recorded = _ignore  # marks the first state that the ledger gets of it
        self._jobs[received.seq] = job
        async with self._starting:
            await self._dispatcher.start_in_order(job)
        self._attempts.add(ended)
        ended.add_done_callback(self._attempts.discard)
        # Shielded: an attempt in flight when the line ends may finish, and its outcome is recorded.
        return await asyncio.shield(ended)

    async def _save(self) -> None:
        webhook_id, stream = self._webhook.id, self._stream
        saved = copied = self._done
        copied_at = 0.0
        while True:
            await asyncio.sleep(SAVE)
            done = self._done if self._unfinished else max(self._done, self._read)
            if done > saved:
                with contextlib.suppress(*StateError):
                    await self._order.advance(webhook_id, stream, done, self._known_log)
                    saved = done
            now = time.monotonic()
            if done > copied and now - copied_at >= COPY:
                copied_at = now
                with contextlib.suppress(*BrokerError):
                    await self._copies.write(webhook_id, stream, done, self._known_log)
                    copied = done


def _ignore() -> None:
    """Nothing waits to be acknowledged: the position is stored instead."""


def _key(received: Received, path: str) -> bytes:
    """The key within which events keep their order; empty where all events do."""
    if not path:
        return b""
    value = path_of(path).value(received)
    return b"-" if value is msgspec.UNSET else msgspec.json.encode(value)
