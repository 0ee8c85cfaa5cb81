"""The ledger: the one writer of what has become of each delivery.

Changes gather for some milliseconds, the latest of each delivery wins, and one script call writes
them all, so that a delivery that succeeds at once costs a single write.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.delivery import FINAL, Attempt, Delivery, Status
from event_gateway.core.errors import NewerFormat
from event_gateway.state.connection import StateError
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

GATHER = 0.003  # seconds in which changes gather before they are written
FORMAT = 1  # of the records; those of a newer one are left alone
MAX_RECORDS = 500  # in one script call, which blocks the server while it runs
FINAL_TTL = 7 * 86400.0  # seconds for which the record of a finished delivery is kept
RETRY_AFTER = 0.25  # seconds between tries while the ledger cannot be reached

_pack = msgspec.msgpack.Encoder().encode
_encode_log = msgspec.json.Encoder().encode
_decode_log = msgspec.json.Decoder(list[Attempt])


class _Change(msgspec.Struct, array_like=True):
    webhook_id: str
    event_id: str
    source: str
    source_hash: str
    stream: str
    seq: int
    run: int
    token: str
    status: str
    attempts: int
    last_error: str
    log: str  # the server's msgpack knows no binary type
    wait_ms: int | None
    fresh: bool


class Record(msgspec.Struct):
    """A delivery as the ledger has it; times in seconds since the epoch."""

    webhook_id: str
    event_id: str
    source: str
    status: Status
    updated_at: float
    attempts: list[Attempt]
    last_error: str | None
    next_attempt_at: float | None
    stream: str
    seq: int
    run: int


class Taken(msgspec.Struct):
    """A due delivery that is this process' now. ``member`` is its name in the webhook's queue."""

    delivery: Delivery
    member: str


@lru_cache(maxsize=4096)
def source_hash(source: str) -> str:
    """What tells apart events of the same id from different sources, in a key."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def script(client: Redis, name: str) -> Any:
    """A server-side script of this package, called with keys and args."""
    return client.register_script(files("event_gateway.state").joinpath(name).read_text())


class Ledger:
    """The state of all deliveries. ``high`` is the highest recorded sequence of each stream."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self._write = script(client, "ledger.lua")
        self._take = script(client, "take.lua")
        self._lookup = script(client, "lookup.lua")
        self._cancel = script(client, "cancel.lua")
        self._pending: dict[tuple[str, str, str], _Change] = {}
        self._waiters: dict[tuple[str, str, str], list[Callable[[], None]]] = {}
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
        return len(self._pending) + self._writing

    async def start(self) -> None:
        """Learns the highest recorded sequences and begins to write.

        Raises NewerFormat where a newer version of the gateway has kept the ledger.
        """
        key = f"{self._prefix}format"
        found = int(await self._client.get(key) or 0)
        if found > FORMAT:
            raise NewerFormat("the ledger in Redis", found, FORMAT)
        if found < FORMAT:
            await self._client.set(key, FORMAT)
        known = cast(dict[bytes, bytes], await self._client.hgetall(f"{self._prefix}high"))
        self.high = {stream.decode(): int(seq) for stream, seq in known.items()}
        self._flusher = asyncio.create_task(self._run(), name="ledger-flush")

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
        recorded: Callable[[], None] | None = None,
    ) -> None:
        """Notes a delivery's newest state, to be written soon.

        ``wait``: seconds until it is due (for one in progress: until its lease ends); None where
        the state is final. ``fresh``: this is the first that is known of it. ``recorded`` is
        called once the ledger has a state for it, be it this one or a newer one.
        """
        key = (delivery.webhook_id, delivery.event_id, delivery.source)
        earlier = self._pending.get(key)
        self._pending[key] = _Change(
            delivery.webhook_id,
            delivery.event_id,
            delivery.source,
            source_hash(delivery.source),
            delivery.stream,
            delivery.seq,
            delivery.run,
            delivery.token,
            status.value,
            len(delivery.attempts),
            last_error,
            _encode_log(delivery.attempts).decode() if delivery.attempts else "",
            None if status in FINAL or wait is None else max(0, round(wait * 1000)),
            fresh or (earlier is not None and earlier.fresh),
        )
        if recorded is not None:
            self._waiters.setdefault(key, []).append(recorded)
        self._submitted.set()

    async def known(self, deliveries: Sequence[tuple[str, str, str, int]]) -> list[bool]:
        """For each (webhook, event id, source, sequence) whether it is recorded already.

        Raises what StateError names.
        """
        wanted = [
            (w, event, source, source_hash(source), seq) for w, event, source, seq in deliveries
        ]
        answers: list[int] = []
        for start in range(0, len(wanted), MAX_RECORDS):
            part = _pack(wanted[start : start + MAX_RECORDS])
            answers += await self._lookup(keys=[self._prefix], args=[part])
        return [bool(answer) for answer in answers]

    async def due_webhooks(self, limit: int) -> tuple[list[str], float | None]:
        """Webhooks with due deliveries, and the seconds until the next becomes due (None: none).

        Raises what StateError names.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(f"{self._prefix}due", 0, limit - 1, withscores=True)
            (seconds, micros), entries = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        due = [name.decode() for name, score in entries if score <= now]
        later = [score for _, score in entries if score > now]
        return due, (min(later) - now) / 1000 if later else None

    async def take(self, wanted: Sequence[tuple[str, int, float]]) -> list[Taken]:
        """Takes due deliveries: for each (webhook, how many, lease in seconds).

        Raises what StateError names.
        """
        token = self.token()
        request = _pack([(webhook, count, round(lease * 1000)) for webhook, count, lease in wanted])
        leases = {webhook: lease for webhook, _, lease in wanted}
        now = asyncio.get_running_loop().time()
        out = []
        rows: list[list[bytes]] = await self._take(
            keys=[self._prefix], args=[request, token, FORMAT]
        )
        for webhook, member, source, stream, seq, run, attempts, status in rows:
            webhook_id = webhook.decode()
            out.append(
                Taken(
                    Delivery(
                        webhook_id=webhook_id,
                        event_id=_event_id(member.decode(), source.decode()),
                        source=source.decode(),
                        stream=stream.decode(),
                        seq=int(seq),
                        token=token,
                        run=int(run),
                        attempts=_decode_log.decode(attempts) if attempts else [],
                        failed=status == b"failed",
                        held_until=now + leases[webhook_id],
                    ),
                    member.decode(),
                )
            )
        return out

    async def cancel_queued(self, webhook_id: str, reason: str, count: int = MAX_RECORDS) -> int:
        """Cancels up to ``count`` waiting deliveries of a webhook; gives how many are left.

        Raises what StateError names.
        """
        args = [webhook_id, count, reason, round(FINAL_TTL * 1000)]
        return int(await self._cancel(keys=[self._prefix], args=args))

    async def read(self, webhook_id: str, event_id: str, source: str | None) -> Record | None:
        """The record of one delivery. Without ``source``, the first event of that id counts.

        Raises what StateError names, and NewerFormat.
        """
        key = f"{self._prefix}delivery:{webhook_id}:{event_id}"
        fields = cast(dict[bytes, bytes], await self._client.hgetall(key))
        if source is not None and fields.get(b"source") != source.encode():
            key = f"{key}~{source_hash(source)}"
            fields = cast(dict[bytes, bytes], await self._client.hgetall(key))
        if not fields:
            return None
        if int(fields[b"v"]) > FORMAT:
            raise NewerFormat("this delivery's record", int(fields[b"v"]), FORMAT)
        next_at = fields[b"next_attempt_at"]
        return Record(
            webhook_id=webhook_id,
            event_id=event_id,
            source=fields[b"source"].decode(),
            status=Status(fields[b"status"].decode()),
            updated_at=int(fields[b"timestamp"]) / 1000,
            attempts=_decode_log.decode(fields[b"log"]) if fields[b"log"] else [],
            last_error=fields[b"last_error"].decode() or None,
            next_attempt_at=int(next_at) / 1000 if next_at else None,
            stream=fields[b"stream"].decode(),
            seq=int(fields[b"seq"]),
            run=int(fields[b"run"]),
        )

    async def queue_depth(self, webhook_id: str) -> int:
        """How many deliveries of a webhook are not final. Raises what StateError names."""
        return int(await self._client.zcard(f"{self._prefix}queue:{webhook_id}"))

    async def _run(self) -> None:
        while True:
            await self._submitted.wait()
            await asyncio.sleep(GATHER)
            while self._pending or not self.reachable:
                if not await self._flush():
                    await asyncio.sleep(RETRY_AFTER)
            self._submitted.clear()

    async def _flush(self) -> bool:
        keys = list(self._pending)[:MAX_RECORDS]
        changes = [self._pending.pop(key) for key in keys]
        waiters = [waiter for key in keys for waiter in self._waiters.pop(key, ())]
        self._writing = len(changes)
        try:
            # Without a change it is a look whether the server is back.
            args = [_pack(changes), round(FINAL_TTL * 1000), FORMAT]
            await self._write(keys=[self._prefix], args=args)
        except (*StateError, asyncio.CancelledError) as error:
            self._put_back(keys, changes, waiters)
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
            if change.seq > self.high.get(change.stream, 0):
                self.high[change.stream] = change.seq
        for waiter in waiters:
            waiter()
        return True

    def _put_back(
        self,
        keys: list[tuple[str, str, str]],
        changes: list[_Change],
        waiters: list[Callable[[], None]],
    ) -> None:
        """What was not confirmed is pending again, except where something newer is already."""
        newer = self._pending
        self._pending = dict(zip(keys, changes, strict=True))
        for key, change in newer.items():
            earlier = self._pending.get(key)
            if earlier is not None:
                change.fresh = change.fresh or earlier.fresh
            self._pending[key] = change
        # Whose waiter is whose no longer matters: all are called once all of these are written.
        if waiters:
            self._waiters.setdefault(keys[-1], [])[:0] = waiters


def _event_id(member: str, source: str) -> str:
    return member.removesuffix(f"~{source_hash(source)}")
