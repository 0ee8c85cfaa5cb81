"""The ledger: the one writer of what has become of each delivery.

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
from event_gateway.core.webhook.delivery import FINAL, Attempt, Delivery, Status
from event_gateway.state.connection import StateError
from event_gateway.state.keys import ANSWERS, DELIVERY, HIGH
from event_gateway.state.keys import FORMAT as FORMAT_KEY
from event_gateway.state.records import (
    FORMAT,
    Record,
    answers_of,
    attempts_of,
    log_of,
    member_of,
    source_hash,
)
from event_gateway.state.script_arguments import Change, LaneChange, Lookup
from event_gateway.state.scripts import script
from event_gateway.tasks import Policy, Supervisor, end

log = structlog.get_logger(__name__)

GATHER = 0.003  # seconds in which changes gather before they are written
MAX_RECORDS = 256  # in one script call, which blocks the server while it runs
RETRY_AFTER = 0.25  # seconds between tries while the ledger cannot be reached

_pack = msgspec.msgpack.Encoder().encode

Heard = Callable[[Sequence[str], frozenset[str], dict[str, float]], None]


class _Pending(msgspec.Struct):
    """The newest state of a delivery, as it was submitted. It is encoded when it is written: most
    are overtaken by a newer one before."""

    delivery: Delivery
    token: str
    attempts: list[Attempt]
    status: Status
    last_error: str
    wait: float | None
    fresh: bool
    tried: int
    took: int
    next_attempt: float | None

    def packed(self) -> Change:
        """As the script takes it."""
        delivery, wait, next_attempt = self.delivery, self.wait, self.next_attempt
        member = member_of(delivery.event_id)
        return Change(
            webhook=delivery.webhook_id,
            member=member,
            source=delivery.source,
            source_hash=source_hash(delivery.source),
            stream=delivery.stream,
            seq=delivery.seq,
            run=delivery.run,
            token=self.token,
            status=self.status.value,
            attempts=len(self.attempts),
            last_error=self.last_error,
            log=log_of(self.attempts),
            wait=None if self.status in FINAL or wait is None else max(0, round(wait * 1000)),
            fresh=self.fresh,
            tried=self.tried,
            succeeded=self.took,
            event_at=round(delivery.event_at * 1000),
            next_attempt=None if next_attempt is None else round(next_attempt * 1000),
            responses=answers_of(self.attempts),
            letter=delivery.letter,
            event_id="" if member == delivery.event_id else delivery.event_id,
        )


class Ledger:
    """The state of all deliveries. ``high`` is the highest recorded sequence of each stream.

    ``heard`` is told after each write of which webhooks it was, which of them have a breaker that
    is not closed, and for how many seconds those that have just failed did nothing but fail.
    """

    def __init__(self, client: Redis, keep: float, supervisor: Supervisor) -> None:
        """``keep``: seconds for which the record of a final delivery is kept."""
        self._client = client
        self._supervisor = supervisor
        self.keep = keep
        self._write = script(client, "ledger/write.lua")
        self._lookup = script(client, "ledger/lookup.lua")
        self._pending: dict[tuple[str, str, str], _Pending] = {}
        self._waiters: dict[tuple[str, str, str], list[Callable[[], None]]] = {}
        self._fates: dict[tuple[str, str, str], Callable[[bool], None]] = {}
        self._lanes: dict[tuple[str, str], LaneChange] = {}
        self.heard: Heard = lambda webhooks, shut, failing: None
        self._submitted = asyncio.Event()
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._flusher: asyncio.Task[None] | None = None
        self._writing = 0
        self._process = secrets.token_hex(6)
        self._tokens = 0
        self.high: dict[str, int] = {}

    @property
    def reachable(self) -> bool:
        """Whether the last call went through. While not, no attempt may start."""
        return self._reachable.is_set()

    @property
    def backlog(self) -> int:
        """Changes that are not yet confirmed."""
        return len(self._pending) + len(self._lanes) + self._writing

    async def start(self) -> None:
        """Learns the highest recorded sequences and begins to write.

        Raises NewerFormat where a newer version of the gateway has kept the ledger.
        """
        found = int(await self._client.get(FORMAT_KEY.key()) or 0)
        if found > FORMAT:
            raise NewerFormat("the ledger in Redis", found, FORMAT)
        if found < FORMAT:
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
            log.warning("ledger not written in time; the events come again", left=self.backlog)
        await end([self._flusher])

    def lost(self, error: Exception) -> None:
        """A call did not go through: until one does, no attempt may start."""
        if self.reachable:
            log.error("ledger cannot be reached, no attempt starts", error=str(error))
            self._reachable.clear()
            self._submitted.set()

    async def wait_reachable(self) -> None:
        """Returns once the ledger can be written again."""
        await self._reachable.wait()

    def token(self) -> str:
        """A new name for the holder of a delivery."""
        self._tokens += 1
        return f"{self._process}.{self._tokens}"

    def submit(
        self,
        delivery: Delivery,
        status: Status,
        *,
        wait: float | None,
        last_error: str = "",
        fresh: bool = False,
        succeeded: bool | None = None,
        next_attempt: float | None = None,
        recorded: Callable[[], None] | None = None,
        written: Callable[[bool], None] | None = None,
    ) -> None:
        """Notes a delivery's newest state, to be written soon.

        ``wait``: seconds until it is due (for one in progress: until its lease ends); None where
        the state is final, or where who has it keeps it out of the queue; then ``next_attempt``
        says in how many seconds that one tries again. ``fresh``: this is the first that is known
        of it. ``succeeded``: how an attempt at the receiver has just ended. ``recorded`` is called
        once the ledger has a state for it, be it this one or a newer one; ``written`` is told
        whether it was this one, and not refused as somebody else has the delivery by now.
        """
        key = (delivery.webhook_id, member_of(delivery.event_id), delivery.source)
        earlier = self._pending.get(key)
        if (
            earlier is not None
            and earlier.token != delivery.token
            and self._older(delivery.token, earlier.token)
        ):
            # Its hold has ended and this process has taken it anew: the newer holder's word counts.
            if recorded is not None:
                self._waiters.setdefault(key, []).append(recorded)
            if written is not None:
                written(False)
            return
        tried, took = int(succeeded is not None), int(succeeded is True)
        if earlier is not None:
            fresh = fresh or earlier.fresh
            tried, took = tried + earlier.tried, took + earlier.took
        self._pending[key] = _Pending(
            delivery, delivery.token, delivery.attempts, status, last_error, wait, fresh,
            tried, took, next_attempt,
        )  # fmt: skip
        if recorded is not None:
            self._waiters.setdefault(key, []).append(recorded)
        if written is not None:
            self._fates[key] = written
        self._submitted.set()

    def writes(self, webhook_id: str, event: Event) -> bool:
        """Whether what this process knows of a delivery is about to be written."""
        return (webhook_id, member_of(event.id), event.source) in self._pending

    def _older(self, token: str, than: str) -> bool:
        own, number = self._process + ".", len(self._process) + 1
        if not (token.startswith(own) and than.startswith(own)):
            return False
        return int(token[number:]) < int(than[number:])

    def change_lane(
        self, webhook_id: str, what: str, seconds: float = 0.0, token: str = ""
    ) -> None:
        """Notes what has changed of a webhook's lane, to be written soon.

        ``open`` its breaker for so many seconds, ``close`` it, ``release`` its probe (with the
        token of the delivery that was the probe), ``reset`` it, ``pause`` or ``resume`` the queue,
        or that its ``rate`` is another one now.
        """
        about = {"pause": "paused", "resume": "paused", "rate": "rate"}.get(what, "breaker")
        self._lanes.pop((webhook_id, about), None)  # the newest goes last
        self._lanes[webhook_id, about] = LaneChange(
            webhook=webhook_id, what=what, wait=round(seconds * 1000), token=token
        )
        self._submitted.set()

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
        while True:
            await self._submitted.wait()
            await asyncio.sleep(GATHER)
            while self._pending or self._lanes or not self.reachable:
                if not await self._flush():
                    await asyncio.sleep(RETRY_AFTER)
            self._submitted.clear()

    async def _flush(self) -> bool:
        keys = list(self._pending)[:MAX_RECORDS]
        changes = [self._pending.pop(key) for key in keys]
        waiters = [waiter for key in keys for waiter in self._waiters.pop(key, ())]
        lanes = {key: self._lanes.pop(key) for key in list(self._lanes)[:MAX_RECORDS]}
        self._writing = len(changes) + len(lanes)
        try:
            # Without a change it is a look whether the server is back.
            packed = _pack([change.packed() for change in changes])
            ttl = round(self.keep * 1000)
            shut, failing, refused = await self._write(
                packed, ttl, FORMAT, _pack([*lanes.values()])
            )
        except (*StateError, asyncio.CancelledError) as error:
            self._put_back(keys, changes, waiters)
            self._lanes = lanes | self._lanes
            if isinstance(error, asyncio.CancelledError):
                raise
            self.lost(error)
            return False
        finally:
            self._writing = 0
        if not self._reachable.is_set():
            log.info("ledger is back")
            self._reachable.set()
        for change in changes:
            stream, seq = change.delivery.stream, change.delivery.seq
            if seq > self.high.get(stream, 0):
                self.high[stream] = seq
        for waiter in waiters:
            waiter()
        refusals = {keys[position - 1] for position in refused}
        for key in [key for key in keys if key in self._fates]:
            if key not in self._pending:  # else it was changed while this was written
                self._fates.pop(key)(key not in refusals)
        # What is still to be written of a lane is newer than what the server has just said of it.
        webhooks = {key[0] for key in keys} | {change.webhook for change in lanes.values()}
        self.heard(
            [one for one in webhooks if (one, "breaker") not in self._lanes],
            frozenset(one.decode() for one in shut),
            {failing[i].decode(): failing[i + 1] / 1000 for i in range(0, len(failing), 2)},
        )
        return True

    def _put_back(
        self,
        keys: list[tuple[str, str, str]],
        changes: list[_Pending],
        waiters: list[Callable[[], None]],
    ) -> None:
        """What was not confirmed is pending again, except where something newer is already."""
        newer = self._pending
        self._pending = dict(zip(keys, changes, strict=True))
        for key, change in newer.items():
            earlier = self._pending.get(key)
            if earlier is not None:
                change.fresh = change.fresh or earlier.fresh
                change.tried, change.took = change.tried + earlier.tried, change.took + earlier.took
            self._pending[key] = change
        # Whose waiter is whose no longer matters: all are called once all of these are written.
        if waiters:
            self._waiters.setdefault(keys[-1], [])[:0] = waiters
