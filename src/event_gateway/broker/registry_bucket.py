"""The JetStream key-value bucket behind the registry: watches it, reads and writes its entries."""

import asyncio
import contextlib
import copy
import math
import secrets
from collections.abc import Callable, Mapping

import structlog
from nats.js.api import Header, StreamConfig
from nats.js.errors import (
    APIError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NoStreamResponseError,
    NotFoundError,
)
from nats.js.kv import KV_DEL, KV_OP, KeyValue

from event_gateway.beats import beat
from event_gateway.broker.buckets import opened_bucket
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure, is_full
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import ensure, existing
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.broker.stream_list import StreamList
from event_gateway.broker.stream_page import read_page
from event_gateway.core.errors import NewerFormat
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

BUCKET = "GATEWAY_REGISTRY"
BUCKET_STREAM = f"KV_{BUCKET}"
START_TIMEOUT = 30.0  # seconds without an entry after which reading the registry at start fails
CHECK_INTERVAL = 5.0  # seconds between two checks whether the watch has stalled
PAGE = 256  # entries that are read at a time
APPLY_TIMEOUT = 2.0  # seconds to wait until a change is applied
LAST_SEQ_HEADER = "Eg-Last-Seq"  # of the marker of a named stream's deletion
_PREFIX = f"$KV.{BUCKET}."
_INSTALLATION_KEY = "key.webhook-id"

# Applies a change. Gets the key, the value (None: it was deleted), and when the broker stored
# the change, in seconds since the epoch.
Apply = Callable[[str, bytes | None, float], None]


class RegistryConflict(Exception):
    """The entry was changed by another caller in between, or exists already."""


class RegistryBucket:
    """The entries of the bucket. ``apply`` gets each change, also those of other processes.
    ``streams`` says where the bucket ends.

    ``left_out`` holds the entries that ``apply`` could not use, by key.
    """

    def __init__(
        self,
        broker: Broker,
        streams: StreamList,
        peers: Peers,
        *,
        supervisor: Supervisor,
        apply: Apply,
    ) -> None:
        self._broker = broker
        self._streams = streams
        self._peers = peers
        self._supervisor = supervisor
        self._apply = apply
        self._bucket: KeyValue | None = None
        self._watch: asyncio.Task[None] | None = None
        self._check: asyncio.Task[None] | None = None
        self._applied = 0
        self._changed = asyncio.Condition()
        self._revisions: dict[str, int] = {}
        self._newer: NewerFormat | None = None
        self.left_out: dict[str, bytes] = {}
        self._newer_entries: dict[str, bytes] = {}  # those of a newer version
        self.stalled = False
        self._config: StreamConfig | None = None
        self._installation_key = b""

    async def open(self) -> bytes:
        """Opens the bucket, or creates it; returns the installation's own key, created on first
        use."""
        self._bucket = await opened_bucket(self._broker, BUCKET)
        stream = await existing(self._broker, f"KV_{BUCKET}")
        if stream is not None and self._broker.replicas not in (None, stream.num_replicas):
            stream.num_replicas = self._broker.replicas
            await ensure(self._broker, stream)
        with contextlib.suppress(KeyWrongLastSequenceError):  # created at an earlier start
            await self._bucket.create(_INSTALLATION_KEY, secrets.token_hex(32).encode())
        entry = await self._bucket.get(_INSTALLATION_KEY)
        self._installation_key = entry.value or b""
        self._config = await existing(self._broker, BUCKET_STREAM)
        return bytes.fromhex(self._installation_key.decode())

    async def restore(self, entries: Mapping[str, bytes]) -> None:
        """Creates the bucket again, which was deleted, with these entries and those that this
        process cannot use.

        A bucket that another client of NATS has created in its place counts its revisions from 1
        again: it is replaced, and what was written into it meanwhile is kept. Raises
        ProvisionError, and what BrokerError names.
        """
        assert self._config is not None, "the registry was not opened"
        written: dict[str, bytes] = {}
        if await existing(self._broker, BUCKET_STREAM) is not None:
            written = await self._written_meanwhile()
            await self._broker.js.delete_stream(BUCKET_STREAM)
        await ensure(self._broker, copy.copy(self._config))
        own = {_INSTALLATION_KEY: self._installation_key}
        kept = self.left_out | self._newer_entries
        for key, value in (dict(entries) | kept | written | own).items():
            with contextlib.suppress(KeyWrongLastSequenceError):  # a newer one
                await self._kv.create(key, value)

    async def _written_meanwhile(self) -> dict[str, bytes]:
        stream, position = BUCKET_STREAM, 1
        written: dict[str, bytes] = {}
        last = (await self._broker.js.stream_info(stream)).state.last_seq
        while position <= last:
            page = await read_page(self._broker, stream, from_seq=position, limit=PAGE)
            if not page.messages:
                break
            for pulled in page.messages:
                key = pulled.subject.removeprefix(_PREFIX)
                written.pop(key, None)
                if not (pulled.headers and pulled.headers.get("KV-Operation")):
                    written[key] = pulled.data
            position = page.messages[-1].seq + 1
        return written

    async def watch(self) -> None:
        """Starts to watch the bucket; returns once all its present entries are applied.

        Raises NewerFormat if a newer version of the gateway wrote an entry, because an incomplete
        registry must not be used; and TimeoutError if no entry arrives for START_TIMEOUT seconds.
        """
        js = self._broker.js
        last = (await js.stream_info(f"KV_{BUCKET}")).state.last_seq
        self._watch = self._supervisor.start("registry", self._follow)
        while self._applied < last and self._newer is None:
            before = self._applied
            try:
                await self.applied(last, timeout=START_TIMEOUT)
            except TimeoutError:
                if self._applied == before:
                    raise TimeoutError(
                        f"the registry was read up to revision {before} of {last}, then no entry "
                        f"arrived for {START_TIMEOUT:.0f} s"
                    ) from None
        if self._newer is not None:
            raise self._newer
        self._check = self._supervisor.start("registry-check", self._check_watch)

    async def stop(self) -> None:
        """Ends the watch."""
        await end([self._check])
        await end([self._watch])

    @property
    def revision(self) -> int:
        """The revision of the latest change that this process has applied."""
        return self._applied

    async def applied(self, revision: int, timeout: float = APPLY_TIMEOUT) -> None:
        """Returns once this process has applied the change of that revision.

        Raises TimeoutError.
        """
        await self.until(lambda: self._applied >= revision, timeout)

    async def until(self, condition: Callable[[], bool], timeout: float = APPLY_TIMEOUT) -> None:
        """Returns once a condition holds. The condition is checked after each change.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def confirmed(self, revision: int) -> None:
        """Waits until all live processes have applied a revision, or for APPLY_TIMEOUT seconds."""
        await self._peers.confirmed(revision, APPLY_TIMEOUT)

    async def write(self, key: str, value: bytes, *, new: bool) -> int:
        """Writes an entry and returns its revision.

        It replaces the revision that this process has applied; ``new``: the key must be free, or
        hold an entry that cannot be read. Raises RegistryConflict, LogUnavailable and LogFull.
        """
        try:
            if new and key not in self.left_out:
                return await self._kv.create(key, value)
            return await self._kv.update(key, value, last=self._revisions[key])
        except (KeyWrongLastSequenceError, KeyNotFoundError, KeyError):
            raise RegistryConflict(key) from None
        except (*BrokerError, NoStreamResponseError, APIError) as error:
            if isinstance(error, APIError) and not is_full(error) and error.code != 503:
                raise RegistryConflict(f"{key}: {error.description}") from None
            raise failure(self._broker, error) from None

    async def delete(self, key: str, last_seq: int = 0) -> None:
        """Deletes an entry of the revision that this process applied. Raises RegistryConflict.

        ``last_seq``: the last sequence of the named stream that the entry was of. The marker of the
        deletion keeps it, so that a later stream of the name begins behind it.
        """
        try:
            headers = {
                KV_OP: KV_DEL,
                Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(self._revisions[key]),
                LAST_SEQ_HEADER: str(last_seq),
            }
            await self._broker.js.publish(f"{_PREFIX}{key}", headers=headers)
        except KeyError:
            raise RegistryConflict(key) from None  # another process has just deleted it
        except APIError as error:
            raise RegistryConflict(f"{key}: {error.description}") from None

    @property
    def _kv(self) -> KeyValue:
        assert self._bucket is not None, "the registry was not opened"
        return self._bucket

    async def _check_watch(self) -> None:
        """Compares what the watch has applied with what the bucket holds, and starts a watch that
        has stalled again."""
        last, applied = 0.0, 0  # at the check before
        while True:
            await beat(CHECK_INTERVAL)
            behind = last > self._applied == applied
            if behind and self._watch is not None:
                if not self.stalled:
                    log.error("the watch of the registry has stalled, it is started again",
                              applied=self._applied, revision=last)  # fmt: skip
                await end([self._watch])
                self._watch = self._supervisor.start("registry", self._follow)
            elif self.stalled and not behind:
                log.info("the registry is followed again", applied=self._applied)
            self.stalled, applied = behind, self._applied
            with contextlib.suppress(*BrokerError):  # which /readyz shows already
                last = await self._last_revision()

    async def _last_revision(self) -> float:
        """The revision of the newest entry; infinite if there is none: the bucket is gone or was
        emptied, as it always holds the installation's key."""
        if self._streams.is_short:  # then the list costs less, which is read anyway
            with contextlib.suppress(*BrokerError, APIError):
                bucket = (await self._streams.read()).get(BUCKET_STREAM)
                if bucket and bucket.state.messages and bucket.state.last_seq == self._applied:
                    return self._applied
        try:
            entry = await self._broker.js.get_last_msg(f"KV_{BUCKET}", f"{_PREFIX}>")
        except NotFoundError:
            return math.inf
        return entry.seq or 0

    async def _follow(self) -> None:
        # After a crash of this task its next run continues where this one ended.
        from_seq = self._applied + 1 if self._applied else None
        async for batch in follow_stream(
            self._broker, f"KV_{BUCKET}", from_seq=from_seq, last_per_subject=from_seq is None,
            empty_after=None,
        ):  # fmt: skip
            for pulled in batch:
                self._apply_message(pulled)
            if batch:
                async with self._changed:
                    self._applied = batch[-1].seq
                    self._changed.notify_all()
                self._peers.announce(self._applied)

    def _apply_message(self, pulled: Pulled) -> None:
        key = pulled.subject.removeprefix(_PREFIX)
        known = key in self.left_out
        self.left_out.pop(key, None)
        self._newer_entries.pop(key, None)
        deleted = bool(pulled.headers and pulled.headers.get("KV-Operation"))
        if deleted:
            self._revisions.pop(key, None)
            self._note_last_seq(key, pulled)
        else:
            self._revisions[key] = pulled.seq
        try:
            self._apply(key, None if deleted else pulled.data, pulled.time)
        except NewerFormat as error:
            self._newer = self._newer or error
            self._newer_entries[key] = pulled.data
            log.error("a newer version of the gateway wrote this registry entry, it is ignored",
                      key=key, error=str(error))  # fmt: skip
        except Exception as error:  # an entry that cannot be read must not block the others
            self.left_out[key] = pulled.data
            if not known:
                log.error("a registry entry cannot be used, it is ignored", key=key, fault=error)

    def _note_last_seq(self, key: str, marker: Pulled) -> None:
        kind, _, name = key.partition(".")
        last = (marker.headers or {}).get(LAST_SEQ_HEADER, "")
        if kind == "stream" and last.isascii() and last.isdecimal():
            self._broker.known_sequences.note(stream_name(name), int(last))
