"""The ledger: the one writer of delivery state.

Changes gather for a few milliseconds, or 25 where nothing waits for them and few come. The latest
state of each delivery wins, and one round trip writes all of them, in script calls of a few records
each. So a delivery that succeeds at once costs a single write.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.errors import NewerFormat, ServerRefused
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.condition import condition_of
from event_gateway.state.connection import StateError
from event_gateway.state.delivery_records import read_record, read_records_of
from event_gateway.state.event_cache import DUPLICATE_WINDOW
from event_gateway.state.keys import FORMAT as FORMAT_KEY
from event_gateway.state.keys import HIGH
from event_gateway.state.pending_changes import CALL_RECORDS, ChangeBatch, PendingChanges
from event_gateway.state.recorded_sequences import highest_sequences
from event_gateway.state.records import (
    FORMAT,
    RESTORING,
    Record,
    member_of,
    source_hash,
)
from event_gateway.state.reported_lanes import LaneReports, ReportedLanes
from event_gateway.state.script_arguments import RecordLookup
from event_gateway.state.scripts import script, script_calls
from event_gateway.tasks import Policy, Supervisor, end

log = structlog.get_logger(__name__)

GATHER = 0.003  # seconds in which changes gather before they are written
WRITTEN_AFTER = 0.01  # seconds until the server has a change of a lane, mostly
QUIET = 0.003  # seconds since the last write after which few changes are expected
# Seconds in which changes that nothing waits for share a write where events come one by one: a
# write costs both sides more than all else that is done for a success. An event every 10 ms is a
# third of a write then.
SHARED = 0.025
MANY = 64  # changes that do not gather: they are written as soon as the former ones are
MAX_RECORDS = 256  # that are written, or looked up, in one round trip
RETRY_AFTER = 0.25  # seconds between two writes while the ledger cannot be reached

_pack = msgspec.msgpack.Encoder().encode


class Ledger:
    """Writes and reads the records of deliveries.

    ``submit`` and ``change_lane`` accept changes, as :class:`PendingChanges` describes.
    """

    def __init__(
        self, client: Redis, retention: float, reports: LaneReports, supervisor: Supervisor
    ) -> None:
        """``retention``: seconds for which the record of a final delivery is stored. ``reports``
        gets what each write says of the lanes."""
        self._client = client
        self._reports = reports
        self._supervisor = supervisor
        self.retention = retention
        self._write = script_calls(client, "ledger/write.lua")
        self._lookup = script(client, "ledger/lookup.lua")
        self._process = secrets.token_hex(6)
        self._loop = asyncio.get_running_loop()
        self._pending = PendingChanges(
            self._process, clock=self._loop.time,
            on_first=self._write_later, on_held=self._write_held,
        )  # fmt: skip
        self.submit = self._pending.submit  # bound directly: every delivery calls it
        self.change_lane = self._pending.change_lane
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._flusher: asyncio.Task[None] | None = None
        self._due = asyncio.Event()  # it is time to write
        self._timer: asyncio.TimerHandle | None = None  # that sets it; None while it writes, too
        self._timer_at = 0.0  # on the loop's clock
        self._written_at = 0.0  # on the loop's clock
        self._last_was_large = False  # the last write was of more changes than one call takes
        self._batch: ChangeBatch | None = None  # what is being written, until Redis confirms it
        self._calls = 0  # of the script, which are confirmed: the number of the latest
        self.condition: str | None = None  # what is wrong with Redis
        self._tokens = 0
        self._high: dict[str, int] = {}

    def set_retention(self, seconds: float) -> None:
        """Sets for how long the records of final deliveries are stored."""
        self.retention = seconds

    def highest_recorded(self, stream: str) -> int:
        """The highest sequence of a stream that this process knows to be recorded; 0 if none is."""
        return self._high.get(stream, 0)

    def forget_high(self, stream: str) -> None:
        """Forgets the highest recorded sequence of a stream whose sequences have gone back."""
        self._high.pop(stream, None)

    @property
    def reachable(self) -> bool:
        """Whether the last call succeeded. If not, no attempt may start."""
        return self._reachable.is_set()

    @property
    def unconfirmed(self) -> int:
        """The number of changes that are not confirmed yet."""
        batch = self._batch
        return len(self._pending) + (0 if batch is None else len(batch))

    def takes(self, limit: int) -> bool:
        """Whether it is reachable and fewer than ``limit`` changes are not confirmed yet."""
        batch, pending = self._batch, len(self._pending)
        return pending + (0 if batch is None else len(batch)) < limit and self._reachable.is_set()

    async def start(self) -> None:
        """Reads the highest recorded sequences and starts to write.

        Raises NewerFormat if a newer version of the gateway has written the ledger, and
        ServerRefused if it is half restored.
        """
        found = await self._client.get(FORMAT_KEY.key())
        if found == RESTORING:
            raise ServerRefused(
                "event-gateway restore is writing to this Redis, or was interrupted: delete what "
                "it has written to Redis and NATS, and repeat it"
            )
        stored = int(found or 0)
        if stored > FORMAT:
            raise NewerFormat("the ledger in Redis", stored, FORMAT)
        if stored < FORMAT:
            await self._client.set(FORMAT_KEY.key(), FORMAT)
        self._high = await highest_sequences(self._client)
        self._flusher = self._supervisor.start("ledger", self._run, policy=Policy.END_PROCESS)

    async def stop(self, timeout: float = 5.0) -> None:
        """Writes the pending changes, for at most ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.unconfirmed:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            log.warning("the ledger was not written in time; these events will be delivered again",
                        count=self.unconfirmed)  # fmt: skip
        await end([self._flusher])

    def mark_unreachable(self, error: Exception) -> None:
        """Records that a call has failed: no attempt may start until a call succeeds."""
        condition = condition_of(error)
        if condition != self.condition:
            self.condition = condition
            log.error("the ledger in Redis cannot be written, no attempt starts",
                      reason=condition, error=str(error))  # fmt: skip
        if self.reachable:
            self._reachable.clear()
            self._due.set()

    async def wait_reachable(self) -> None:
        """Returns once the ledger can be reached."""
        await self._reachable.wait()

    def token(self) -> str:
        """A new fencing token, for the next lease of a delivery."""
        self._tokens += 1
        return f"{self._process}.{self._tokens}"

    def call_once_written(
        self, webhook_id: str, event: Event, recorded: Callable[[], None]
    ) -> bool:
        """Calls ``recorded`` once the pending change of a delivery is written; False if none is.

        A change that is being written is not pending: its answer may come from a server that is
        not the primary any more.
        """
        return self._pending.call_once_written(
            (webhook_id, member_of(event.id), event.source), recorded
        )

    async def known(self, deliveries: Sequence[tuple[Webhook, Received]]) -> list[bool]:
        """Whether each delivery, as (webhook, event), has a record, or the same event published
        shortly before has one.

        Raises the exceptions in StateError.
        """
        lookups = [
            RecordLookup(
                webhook.id, member_of(received.event.id), received.event.source,
                source_hash(received.event.source), received.seq, round(received.time * 1000),
                received.stream, webhook.since_of(received.stream), (webhook.formerly or ("",))[-1],
            )
            for webhook, received in deliveries
        ]  # fmt: skip
        window = round(DUPLICATE_WINDOW * 1000)
        recorded: list[int] = []
        for start in range(0, len(lookups), MAX_RECORDS):
            recorded += await self._lookup(_pack(lookups[start : start + MAX_RECORDS]), window)
        return [bool(flag) for flag in recorded]

    async def highest(self, stream: str) -> int:
        """The highest sequence of a stream that any process has recorded.

        Raises the exceptions in StateError.
        """
        return int(await cast(Any, self._client.hget(HIGH.key(), stream)) or 0)

    async def refresh_high(self, stream: str) -> None:
        """Learns the highest sequence of a stream that other processes have recorded meanwhile.

        Raises the exceptions in StateError.
        """
        highest = await self.highest(stream)
        self._high[stream] = max(self._high.get(stream, 0), highest)

    async def read(self, webhook_id: str, event_id: str, source: str | None) -> Record | None:
        """The record of a delivery; None if there is none.

        ``event_id`` can also be a member (:func:`member_of`). Without ``source`` it is the first
        recorded event with this id. Raises the exceptions in StateError, and NewerFormat.
        """
        return await read_record(self._client, webhook_id, event_id, source)

    async def read_of(
        self, webhook_ids: Sequence[str], event_id: str, source: str | None
    ) -> list[Record | None]:
        """The records of an event's deliveries to many webhooks; as :meth:`read`, in a few round
        trips."""
        return await read_records_of(self._client, webhook_ids, event_id, source)

    def nothing_follows(self) -> None:
        """Writes the pending changes at once: no event is being processed that could change them.

        Where the last write was a moment ago, more events are expected, and the changes gather.
        """
        if self._timer is None:
            return
        since = self._loop.time() - self._written_at
        quiet = SHARED if self._pending.patient else QUIET
        if since > quiet or self._pending.due >= MANY:
            self._due.set()

    def _write_later(self) -> None:
        now = self._loop.time()
        few = now - self._written_at <= SHARED and not self._last_was_large
        self._write_at(now + (SHARED if few and self._pending.patient else GATHER))

    def _write_held(self) -> None:
        until = self._pending.held_until
        if until is not None:
            self._write_at(until)

    def _write_at(self, at: float) -> None:
        """Writes at a time of the loop's clock at the latest."""
        if self._due.is_set():
            return  # it writes now, and then looks for what is left
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at  # uvloop's handle does not tell it once the time has come
        self._timer = self._loop.call_at(at, self._due.set)

    async def _run(self) -> None:
        self._due.set()  # after a restart something may be pending
        while True:
            await self._due.wait()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            while self._batch is not None or self._pending.due or not self.reachable:
                if not await self._flush():
                    await asyncio.sleep(RETRY_AFTER)
                elif self._pending.due < MANY:
                    break  # what has changed during the write gathers, too
            self._due.clear()
            self._written_at = self._loop.time()
            if self._pending.due:
                self._write_later()
            else:
                self._write_held()

    async def _flush(self) -> bool:
        # A batch of which an answer was lost may have been written in part: all its calls are sent
        # again as they were, under the same numbers, by which the script recognises them.
        batch = self._batch
        if batch is None:
            batch = self._batch = self._pending.take(MAX_RECORDS)
        try:
            # An empty batch tests whether the server can be reached again.
            answers = await self._write(self._arguments(batch))
        except StateError as error:
            self.mark_unreachable(error)
            return False
        self._batch = None
        self._last_was_large = len(batch.changes) > CALL_RECORDS
        self._calls += len(batch.calls)
        if not self._reachable.is_set():
            log.info("the ledger in Redis can be reached again")
            self._reachable.set()
            self.condition = None
        for change in batch.changes:
            stream, seq = change.delivery.stream, change.delivery.seq
            if seq > self._high.get(stream, 0):
                self._high[stream] = seq
        self._pending.settle(batch, {position for answer in answers for position in answer[2]})
        self._report_lanes_of(batch, answers)
        return True

    def _arguments(self, batch: ChangeBatch) -> list[tuple[Any, ...]]:
        """The arguments of the calls that write a batch. The last one changes the lanes."""
        retention, last = round(self.retention * 1000), len(batch.calls) - 1
        return [
            (
                _pack([change.packed() for change in batch.changes[call]]),
                retention,
                FORMAT,
                _pack([*batch.lanes.values()] if number == last else ()),
                self._process,
                self._calls + 1 + number,
                call.start,
            )
            for number, call in enumerate(batch.calls)
        ]

    def _report_lanes_of(self, batch: ChangeBatch, answers: Sequence[Any]) -> None:
        if not self._reports.followed:
            return
        lanes, changed = ReportedLanes(), {change.webhook for change in batch.lanes.values()}
        for call, (not_closed, failing, _, throttled) in zip(batch.calls, answers, strict=True):
            if not_closed is None:
                continue  # this call was made before, and its answer was lost
            webhooks = {key[0] for key in batch.keys[call]}
            if call is batch.calls[-1]:
                webhooks |= changed
            succeeded = [change.key[0] for change in batch.changes[call] if change.succeeded]
            lanes.add(webhooks, succeeded, not_closed, failing, throttled)
        if lanes.webhooks:
            # A pending change of a circuit breaker is newer than its state in Redis.
            settled = [
                webhook for webhook in lanes.webhooks if not self._pending.changes_breaker(webhook)
            ]
            self._reports.report(settled, lanes)
