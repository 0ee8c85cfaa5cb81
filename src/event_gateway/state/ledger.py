"""The ledger: the one writer of delivery state.

Changes gather for some milliseconds, the latest of each delivery wins, and one script call writes
them all, so that a delivery that succeeds at once costs a single write.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import NewerFormat
from event_gateway.core.webhook.delivery import Status
from event_gateway.state.connection import StateError
from event_gateway.state.keys import ANSWERS, DELIVERY, HIGH
from event_gateway.state.keys import FORMAT as FORMAT_KEY
from event_gateway.state.pending_changes import PendingChanges
from event_gateway.state.records import (
    FORMAT,
    Record,
    attempts_of,
    member_of,
    source_hash,
)
from event_gateway.state.script_arguments import Lookup
from event_gateway.state.scripts import script
from event_gateway.tasks import Policy, Supervisor, end

log = structlog.get_logger(__name__)

GATHER = 0.003  # seconds in which changes gather before they are written
MAX_RECORDS = 256  # in one script call, which blocks the server while it runs
RETRY_AFTER = 0.25  # seconds between tries while the ledger cannot be reached

_pack = msgspec.msgpack.Encoder().encode

# After each write: the webhooks that it was of, which of them have a circuit breaker that is not
# closed, and for how many seconds those that have just failed did nothing but fail.
LaneReport = Callable[[Sequence[str], frozenset[str], dict[str, float]], None]


class Ledger:
    """The state of all deliveries. ``high`` is the highest recorded sequence of each stream.

    ``submit`` and ``change_lane`` take changes, as :class:`PendingChanges` describes.
    """

    def __init__(self, client: Redis, keep: float, supervisor: Supervisor) -> None:
        """``keep``: seconds for which the record of a final delivery is kept."""
        self._client = client
        self._supervisor = supervisor
        self.keep = keep
        self._write = script(client, "ledger/write.lua")
        self._lookup = script(client, "ledger/lookup.lua")
        self._process = secrets.token_hex(6)
        self._pending = PendingChanges(self._process)
        self.submit = self._pending.submit  # no call between: it is on the way of each delivery
        self.change_lane = self._pending.change_lane
        self._report: LaneReport | None = None
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._flusher: asyncio.Task[None] | None = None
        self._writing = 0
        self._tokens = 0
        self.high: dict[str, int] = {}

    def set_retention(self, seconds: float) -> None:
        """Keeps the records of final deliveries for so long from now on."""
        self.keep = seconds

    @property
    def reachable(self) -> bool:
        """Whether the last call succeeded. While not, no attempt may start."""
        return self._reachable.is_set()

    @property
    def backlog(self) -> int:
        """Changes that are not yet confirmed."""
        return len(self._pending) + self._writing

    def report_lanes(self, report: LaneReport) -> None:
        """Calls this after each write from now on."""
        self._report = report

    async def start(self) -> None:
        """Reads the highest recorded sequences and begins to write.

        Raises NewerFormat where a newer version of the gateway has written the ledger.
        """
        stored = int(await self._client.get(FORMAT_KEY.key()) or 0)
        if stored > FORMAT:
            raise NewerFormat("the ledger in Redis", stored, FORMAT)
        if stored < FORMAT:
            await self._client.set(FORMAT_KEY.key(), FORMAT)
        known = cast(dict[bytes, bytes], await self._client.hgetall(HIGH.key()))
        self.high = {stream.decode(): int(seq) for stream, seq in known.items()}
        self._flusher = self._supervisor.start("ledger", self._run, policy=Policy.END_PROCESS)

    async def stop(self, timeout: float = 5.0) -> None:
        """Writes what is left, for at most ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.backlog:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            log.warning("the ledger was not written in time; the events are delivered again",
                        left=self.backlog)  # fmt: skip
        await end([self._flusher])

    def lost(self, error: Exception) -> None:
        """A call has failed: no attempt may start until one succeeds."""
        if self.reachable:
            log.error("the ledger cannot be reached, no attempt starts", error=str(error))
            self._reachable.clear()
            self._pending.submitted.set()

    async def wait_reachable(self) -> None:
        """Returns once the ledger can be written again."""
        await self._reachable.wait()

    def token(self) -> str:
        """A new fencing token, for the next lease of a delivery."""
        self._tokens += 1
        return f"{self._process}.{self._tokens}"

    def writes(self, webhook_id: str, event: Event) -> bool:
        """Whether a change of a delivery is still to be written."""
        return (webhook_id, member_of(event.id), event.source) in self._pending

    async def known(self, deliveries: Sequence[tuple[str, str, str, int]]) -> list[bool]:
        """For each (webhook, event id, source, sequence) whether it is recorded already.

        Raises what StateError names.
        """
        lookups = [
            Lookup(webhook, member_of(event_id), source, source_hash(source), seq)
            for webhook, event_id, source, seq in deliveries
        ]
        answers: list[int] = []
        for start in range(0, len(lookups), MAX_RECORDS):
            answers += await self._lookup(_pack(lookups[start : start + MAX_RECORDS]))
        return [bool(answer) for answer in answers]

    async def highest(self, stream: str) -> int:
        """The highest sequence of a stream that any process has recorded.

        Raises what StateError names.
        """
        return int(await cast(Any, self._client.hget(HIGH.key(), stream)) or 0)

    async def read(self, webhook_id: str, event_id: str, source: str | None) -> Record | None:
        """The record of one delivery. Without ``source``, the first event of that id counts, which
        may be given as :func:`member_of` has it.

        Raises what StateError names, and NewerFormat.
        """
        member = member_of(event_id)
        fields, answers = await self._fields(webhook_id, member)
        if source is not None and fields.get(b"source") != source.encode():
            fields, answers = await self._fields(webhook_id, f"{member}~{source_hash(source)}")
        if not fields:
            return None
        if int(fields[b"v"]) > FORMAT:
            raise NewerFormat("this delivery's record", int(fields[b"v"]), FORMAT)
        next_at = fields[b"next_attempt_at"]
        return Record(
            webhook_id=webhook_id,
            event_id=fields[b"event_id"].decode() if b"event_id" in fields else event_id,
            source=fields[b"source"].decode(),
            status=Status(fields[b"status"].decode()),
            updated_at=int(fields[b"timestamp"]) / 1000,
            attempts=attempts_of(fields[b"log"], answers),
            last_error=fields[b"last_error"].decode() or None,
            next_attempt_at=int(next_at) / 1000 if next_at else None,
            stream=fields[b"stream"].decode(),
            seq=int(fields[b"seq"]),
            run=int(fields[b"run"]),
            repeats=fields.get(b"repeats", b"").decode(),
            letter=int(fields.get(b"letter", 0)),
        )

    async def _fields(self, webhook_id: str, member: str) -> tuple[dict[bytes, bytes], bytes]:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(DELIVERY.key(webhook_id, member))
            pipe.hget(ANSWERS.key(webhook_id), member)
            fields, answers = await pipe.execute()
        return fields, answers or b""

    async def _run(self) -> None:
        pending = self._pending
        while True:
            await pending.submitted.wait()
            await asyncio.sleep(GATHER)
            while len(pending) or not self.reachable:
                if not await self._flush():
                    await asyncio.sleep(RETRY_AFTER)
            pending.submitted.clear()

    async def _flush(self) -> bool:
        batch = self._pending.take(MAX_RECORDS)
        self._writing = len(batch)
        try:
            # An empty batch finds out whether the server is back.
            not_closed, failing, refused = await self._write(
                _pack([change.packed() for change in batch.changes]),
                round(self.keep * 1000),
                FORMAT,
                _pack([*batch.lanes.values()]),
            )
        except (*StateError, asyncio.CancelledError) as error:
            self._pending.put_back(batch)
            if isinstance(error, asyncio.CancelledError):
                raise
            self.lost(error)
            return False
        finally:
            self._writing = 0
        if not self._reachable.is_set():
            log.info("the ledger can be reached again")
            self._reachable.set()
        for change in batch.changes:
            stream, seq = change.delivery.stream, change.delivery.seq
            if seq > self.high.get(stream, 0):
                self.high[stream] = seq
        self._pending.settle(batch, refused)
        if self._report is not None:
            webhooks = {key[0] for key in batch.keys}
            webhooks |= {change.webhook for change in batch.lanes.values()}
            self._report(
                # A change of a breaker that is still to be written is newer than Redis' answer.
                [one for one in webhooks if not self._pending.changes_breaker(one)],
                frozenset(webhook.decode() for webhook in not_closed),
                {failing[i].decode(): failing[i + 1] / 1000 for i in range(0, len(failing), 2)},
            )
        return True
