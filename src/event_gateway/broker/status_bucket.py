"""The key-value bucket with what the leader decides for all processes: health, alerts, silences.

Its keys: ``health``, ``alert.<name>.<webhook>`` (``=all`` for the alert over all webhooks, which is
no webhook's id), ``silence.<id>``. Every write is a compare-and-set, so that of two processes that
both take themselves for the leader one is refused.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing

import msgspec
from nats.js.api import Header, RawStreamMsg
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
from nats.js.kv import KV_OP, KV_PURGE

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.provision import MAX_STATUS_ENTRY, STATUS, STATUS_BUCKET
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.broker.stream_page import read_page

MAX_VALUE = MAX_STATUS_ENTRY - 512  # bytes of a value; the rest is for the headers
KEPT_MARKERS = 3600.0  # seconds for which the marker of a deletion is kept, for those who watch
PAGE = 500  # entries that are read at a time
LOOK = 5.0  # seconds without a change after which a watch looks whether the bucket is another one

_PREFIX = f"$KV.{STATUS_BUCKET}."
_WRONG_LAST_SEQUENCE = (10071, 10164)  # error codes of the server
_FAILURES = (*BrokerError, APIError, NoStreamResponseError)

# Gets a key, its value (None: it was deleted), and the revision.
OnChange = Callable[[str, bytes | None, int], None]


class StatusEntry(msgspec.Struct, frozen=True):
    """A value, its revision, and when it was stored, in seconds since the epoch."""

    value: bytes
    revision: int
    stored_at: float


class StatusBucket:
    """Reads and writes entries. All methods but :meth:`watch` raise LogUnavailable while NATS is
    away, and LogFull if the bucket has as many entries as it may."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._created = 0  # how often the bucket was created again

    def recreated(self) -> None:
        """The bucket is another one: those who watch begin with its present entries."""
        self._created += 1

    async def read(self, key: str) -> StatusEntry | None:
        """The entry of a key; None if there is none."""
        message = await self._last(key)
        if message is None or _is_marker(message.headers):
            return None
        stored_at = message.time.timestamp() if message.time is not None else 0.0
        return StatusEntry(message.data or b"", message.seq or 0, stored_at)

    async def read_all(self, prefix: str) -> dict[str, StatusEntry]:
        """The entries whose keys begin with a prefix such as ``alert.``, by key."""
        entries: dict[str, StatusEntry] = {}
        async for key, entry, is_marker in self._all(prefix):
            if is_marker:
                entries.pop(key, None)
            else:
                entries[key] = entry
        return entries

    async def write(self, key: str, value: bytes, revision: int = 0) -> int | None:
        """Replaces the entry of a revision; 0: the key must have none.

        Returns the new revision; None if another process has written the key in between: nothing is
        changed then. Raises ValueError for more than MAX_VALUE bytes.
        """
        if len(value) > MAX_VALUE:
            raise ValueError(f"{key}: a value of {len(value)} bytes, at most {MAX_VALUE} are taken")
        written = await self._publish(key, value, revision)
        if written is None and revision == 0:
            last = await self._last(key)
            if last is not None and _is_marker(last.headers):
                return await self._publish(key, value, last.seq or 0)
        return written

    async def delete(self, key: str, revision: int) -> bool:
        """Deletes the entry of a revision; False if another process has written the key since."""
        return await self._publish(key, b"", revision, {KV_OP: KV_PURGE}) is not None

    async def watch(self, prefix: str, on_change: OnChange) -> None:
        """Calls ``on_change`` with each present entry under a prefix, then with each change. It
        never ends; a task of the supervisor runs it. After a loss of the connection it goes on
        with the next change; after a crash it begins with the present entries again."""
        while True:
            created = self._created
            async with aclosing(
                follow_stream(self._broker, STATUS, last_per_subject=True, empty_after=LOOK)
            ) as batches:
                async for batch in batches:
                    for message in batch:
                        key = message.subject.removeprefix(_PREFIX)
                        if key.startswith(prefix):
                            gone = _is_marker(message.headers)
                            on_change(key, None if gone else message.data, message.seq)
                    if created != self._created:
                        break

    async def tidy(self) -> None:
        """Removes the markers of deletions that are older than KEPT_MARKERS. Without permission to
        delete messages they stay, and count as entries."""
        before = time.time() - KEPT_MARKERS
        async for _, entry, is_marker in self._all(""):
            if is_marker and entry.stored_at < before:
                try:
                    await self._broker.js.delete_msg(STATUS, entry.revision)
                except NotFoundError:
                    continue  # the key has been written again
                except _FAILURES as error:
                    raise failure(self._broker, error) from None

    async def _publish(
        self, key: str, value: bytes, revision: int, headers: dict[str, str] | None = None
    ) -> int | None:
        expected = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)}
        try:
            ack = await self._broker.js.publish(
                _PREFIX + key, value, stream=STATUS, headers=expected | (headers or {})
            )
        except APIError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                return None
            raise failure(self._broker, error) from None
        except (*BrokerError, NoStreamResponseError) as error:
            raise failure(self._broker, error) from None
        return ack.seq

    async def _last(self, key: str) -> RawStreamMsg | None:
        try:
            # Not a direct get: a replica may answer that with a former entry.
            return await self._broker.js.get_last_msg(STATUS, _PREFIX + key)
        except NotFoundError:
            return None
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def _all(self, prefix: str) -> AsyncIterator[tuple[str, StatusEntry, bool]]:
        """Every key under a prefix with its latest entry, and whether that is the marker of a
        deletion."""
        assert not prefix or prefix.endswith("."), prefix
        position = 1
        while True:
            try:
                page = await read_page(
                    self._broker, STATUS, from_seq=position, subject=f"{_PREFIX}{prefix}>",
                    limit=PAGE,
                )  # fmt: skip
            except _FAILURES as error:
                raise failure(self._broker, error) from None
            for message in page.messages:
                entry = StatusEntry(message.data, message.seq, message.time)
                yield message.subject.removeprefix(_PREFIX), entry, _is_marker(message.headers)
            if not page.remaining:
                return
            position = page.messages[-1].seq + 1


def _is_marker(headers: Mapping[str, str] | None) -> bool:
    return headers is not None and KV_OP in headers
