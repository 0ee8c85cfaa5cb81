"""The keys of the people whom events are about: one entry each in GATEWAY_SUBJECT_KEYS.

An entry's name is a digest, so that it does not tell the person's name. The key in it is sealed. To
erase a key, its message is overwritten on disk (JetStream's secure erase), and a marker takes its
place.

The stream keeps two messages of an entry: one that is sealed again is stored before the former one
is overwritten. What JetStream drops by itself would stay on disk, where erasing the key does not
reach it.
"""

import time
from collections.abc import AsyncGenerator

import msgspec
from nats.js.api import DiscardPolicy, Header, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.provision import ensure_same
from event_gateway.broker.stream_page import read_page
from event_gateway.core.access.sealing import Sealed

STREAM = "GATEWAY_SUBJECT_KEYS"
SUBJECT = "eg.subject-key"
MAX_KEYS = 10_000_000
PAGE = 500  # entries that are read at a time
_WRONG_LAST_SEQUENCE = (10071, 10164)  # error codes of the server
_FAILURES = (*BrokerError, APIError, NoStreamResponseError)


class SubjectKey(msgspec.Struct, frozen=True):
    """A key of a person in a stream; each has another ``number``. ``sealed`` is None once it was
    erased, at ``erased_at`` (seconds since the epoch)."""

    number: int
    sealed: Sealed | None = None
    erased_at: float | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SubjectKey).decode


class SubjectKeys:
    """Reads and writes entries. Methods raise LogUnavailable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def ensure(self) -> None:
        """Creates the stream of the keys. Raises ProvisionError, and what BrokerError names."""
        await ensure_same(
            self._broker,
            StreamConfig(
                name=STREAM, subjects=[f"{SUBJECT}.*.*"], storage=StorageType.FILE,
                max_msgs_per_subject=2, max_msgs=MAX_KEYS, discard=DiscardPolicy.NEW,
                allow_direct=True,
            ),
        )  # fmt: skip

    async def read(self, stream: str, person: str) -> tuple[SubjectKey | None, int]:
        """The entry of a person (by digest), and its revision; None and 0 if there is none."""
        try:
            # Not a direct get: a replica may answer that with a former entry.
            message = await self._broker.js.get_last_msg(STREAM, f"{SUBJECT}.{stream}.{person}")
        except NotFoundError:
            return None, 0
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return _decode(message.data or b""), message.seq or 0

    async def write(self, stream: str, person: str, entry: SubjectKey, revision: int) -> bool:
        """Replaces the entry of a revision; False if another process has written it in between."""
        try:
            await self._broker.js.publish(
                f"{SUBJECT}.{stream}.{person}", _encode(entry), stream=STREAM,
                headers={Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)},
            )  # fmt: skip
        except APIError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                return False
            raise failure(self._broker, error) from None
        except (*BrokerError, NoStreamResponseError) as error:
            raise failure(self._broker, error) from None
        return True

    async def reseal(
        self, stream: str, person: str, entry: SubjectKey, sealed: Sealed, revision: int
    ) -> bool:
        """As :meth:`write` with the same key sealed again; overwrites the former message on disk.
        A process that ended before it overwrote that may have replaced the entry already."""
        await self._overwrite_before(stream, person, revision)
        resealed = msgspec.structs.replace(entry, sealed=sealed)
        if not await self.write(stream, person, resealed, revision):
            present, present_revision = await self.read(stream, person)
            if present is None or present.sealed is None or present.number != entry.number:
                return False
            if present_revision <= revision or present.sealed.key_id != sealed.key_id:
                return False
        await self._overwrite(revision)
        return True

    async def erase(self, stream: str, person: str) -> SubjectKey | None:
        """Overwrites the key of a person on disk. Returns the marker; None if there was no key."""
        marker = None
        entry, revision = await self.read(stream, person)
        while entry is not None and entry.sealed is not None:  # also one that it replaced
            marker = marker or SubjectKey(entry.number, None, time.time())
            await self._overwrite(revision)
            entry, revision = await self.read(stream, person)
        if marker is not None:
            await self.write(stream, person, marker, revision)
        return marker

    async def all(self) -> AsyncGenerator[list[tuple[str, str, SubjectKey, int]], None]:
        """The entries, some at a time: stream, person, entry and revision. An entry that is being
        replaced may be there twice."""
        position: int | None = 1
        while position is not None:
            try:
                page = await read_page(self._broker, STREAM, from_seq=position, limit=PAGE)
            except NotFoundError:
                return
            except _FAILURES as error:
                raise failure(self._broker, error) from None
            found = []
            for message in page.messages:
                stream, person = message.subject.split(".")[2:]
                found.append((stream, person, _decode(message.data), message.seq))
            yield found
            position = page.messages[-1].seq + 1 if page.remaining and page.messages else None

    async def _overwrite_before(self, stream: str, person: str, revision: int) -> None:
        """Overwrites what a process that has ended left of an entry before a revision: JetStream
        would drop it to keep another one."""
        try:
            first = await self._broker.js.get_msg(
                STREAM, 1, f"{SUBJECT}.{stream}.{person}", next=True
            )
        except NotFoundError:
            return
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        if first.seq is not None and first.seq < revision:
            await self._overwrite(first.seq)

    async def _overwrite(self, revision: int) -> None:
        try:
            await self._broker.js.delete_msg(STREAM, revision)
        except NotFoundError:
            pass  # another process was faster
        except _FAILURES as error:
            raise failure(self._broker, error) from None
