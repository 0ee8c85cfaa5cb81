"""The stream of a chain: GATEWAY_CHAIN_<name>, to which its records and anchors are appended.

Each append names the last sequence that the stream must have (``Nats-Expected-Last-Sequence``): of
two processes that append at the same time, NATS refuses one. So there is no record twice.
"""

import contextlib
from collections.abc import AsyncGenerator

import structlog
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import DiscardPolicy, Header, RawStreamMsg, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.provision import ensure_same, existing
from event_gateway.broker.stored_messages import stored_messages, unsilenced
from event_gateway.broker.stream_page import StreamPage, read_page
from event_gateway.core.compliance.anchor import Anchor
from event_gateway.core.compliance.chain import ChainRecord, StoredMessage
from event_gateway.core.compliance.export import ChainEntry, decode_entry, encode
from event_gateway.core.streams.definition import StreamDefinition

log = structlog.get_logger(__name__)

PREFIX = "GATEWAY_CHAIN_"
SUBJECT = "eg.chain"
MARGIN = 7 * 86400.0  # seconds for which records stay longer than the messages that they cover
READ_AHEAD = 64  # entries: a record has up to 43 KB
_WRONG_LAST_SEQUENCE = (10071, 10164)  # error codes of the server
_FAILURES = (*BrokerError, APIError, NoStreamResponseError)


class Overtaken(Exception):
    """Another process has appended to the chain in between: nothing was appended."""


def chain_name(name: str) -> str:
    """The JetStream stream with the chain of a named stream."""
    return f"{PREFIX}{name}"


def chain_config(definition: StreamDefinition) -> StreamConfig:
    """How the chain's stream is configured. Its records leave after the messages they cover."""
    keeps = definition.limits.retention
    return StreamConfig(
        name=chain_name(definition.name),
        description=f"event gateway chain of the stream {definition.name}",
        subjects=[f"{SUBJECT}.{definition.name}.*"],
        storage=StorageType.FILE,
        num_replicas=definition.replicas,
        max_age=None if keeps is None else keeps + MARGIN,
        discard=DiscardPolicy.OLD,
        deny_delete=True,
        deny_purge=True,
        allow_direct=True,
    )


class ChainLog:
    """The chain of one stream. Methods raise LogUnavailable."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name
        self.stream = chain_name(name)

    async def ensure(self, definition: StreamDefinition) -> None:
        """Creates the stream, or updates it to the definition of the named stream; where NATS does
        not let this user update it, it stays. Raises ProvisionError, and what BrokerError names."""
        try:
            await ensure_same(self._broker, chain_config(definition))
        except (NatsTimeout, TimeoutError):
            denied = self._broker.violations.during_call()
            if denied is None or await existing(self._broker, self.stream) is None:
                raise
            log.warning("the limits of a chain are not updated", stream=self._name, reason=denied)

    async def last_seq(self) -> int:
        """The last sequence of the chain's stream; 0 if it has none, or does not exist."""
        try:
            return (await self._broker.js.stream_info(self.stream)).state.last_seq
        except NotFoundError:
            return 0
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def read(
        self, first: int, last: int, kind: str | None = None
    ) -> AsyncGenerator[StoredMessage, None]:
        """The entries from one sequence of the chain's stream to another, or those of a kind, as
        they are stored. ``last`` must be there, and of that kind. Raises StreamGone, and Silent
        where NATS does not send them."""
        if first > last:
            return
        subject = None if kind is None else f"{SUBJECT}.{self._name}.{kind}"
        entries = stored_messages(
            self._broker, self.stream, first, subject=subject, read_ahead=READ_AHEAD
        )
        async with contextlib.aclosing(unsilenced(entries)) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.seq <= last:
                        yield entry
                    if entry.seq >= last:
                        return

    async def page(self, kind: str, first: int, limit: int) -> tuple[list[ChainEntry], int | None]:
        """At most ``limit`` entries of a kind from a sequence of the chain's stream on, and where
        the next page begins; None if there is none."""
        page = await self._page(kind, first, limit)
        entries = [decode_entry(message.data) for message in page.messages]
        return entries, page.messages[-1].seq + 1 if page.remaining and entries else None

    async def timed(self, kind: str, limit: int) -> list[tuple[bytes, float]]:
        """The first entries of a kind as they are stored, and when, in seconds since the epoch."""
        page = await self._page(kind, 1, limit)
        return [(message.data, message.time) for message in page.messages]

    async def _page(self, kind: str, first: int, limit: int) -> StreamPage:
        try:
            return await read_page(
                self._broker, self.stream, from_seq=first, limit=limit,
                subject=f"{SUBJECT}.{self._name}.{kind}",
            )  # fmt: skip
        except NotFoundError:
            return StreamPage([], 0)
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def last_seq_of(self, kind: str) -> int:
        """The sequence of the last entry of a kind in the chain's stream; 0 if there is none."""
        message = await self._last_message(kind)
        return 0 if message is None else message.seq or 0

    async def last_record(self) -> ChainRecord | None:
        """The last record; None if there is none."""
        entry = await self._last("record")
        return entry if isinstance(entry, ChainRecord) else None

    async def last_anchor(self) -> Anchor | None:
        """The last anchor; None if there is none."""
        entry = await self._last("anchor")
        return entry if isinstance(entry, Anchor) else None

    async def has_anchor(self, sequence: int) -> bool:
        """Whether there is an anchor of that sequence of the named stream."""
        at, _ = await self._anchor_from(sequence)
        return at == sequence

    async def last_anchor_before(self, sequence: int) -> int:
        """Where in the chain's stream the last anchor is that is of a sequence of the named stream
        before this one; 0 if there is none."""
        return (await self._anchor_from(sequence))[1]

    async def _anchor_from(self, sequence: int) -> tuple[int, int]:
        """Of which sequence the first anchor is that is not before this one (0: there is none), and
        where in the chain's stream the anchor before that is (0: there is none).

        Anchors stand in the order of their sequences, so some twenty requests find it among
        millions.
        """
        found = before = 0
        low, high = 1, await self.last_seq_of("anchor")
        while low <= high:
            middle = (low + high) // 2
            message = await self._message("anchor", middle)
            anchor = None if message is None else decode_entry(message.data or b"")
            if message is None or message.seq is None or message.seq > high:
                high = middle - 1
                continue
            assert isinstance(anchor, Anchor)
            stated = anchor.read().sequence
            if stated < sequence:
                before, low = message.seq, message.seq + 1
            else:
                found, high = stated, middle - 1
        return found, before

    async def append(self, kind: str, entry: ChainEntry, after: int) -> int:
        """Appends an entry (``record``, ``anchor`` or ``stamp``) behind the sequence ``after`` of
        the chain's stream, and returns its sequence. Raises Overtaken."""
        try:
            ack = await self._broker.js.publish(
                f"{SUBJECT}.{self._name}.{kind}", encode(entry), stream=self.stream,
                headers={Header.EXPECTED_LAST_SEQUENCE.value: str(after)},
            )  # fmt: skip
        except APIError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                raise Overtaken(self._name) from None
            raise failure(self._broker, error) from None
        except (*BrokerError, NoStreamResponseError) as error:
            raise failure(self._broker, error) from None
        return ack.seq

    async def _last(self, kind: str) -> ChainEntry | None:
        message = await self._last_message(kind)
        return None if message is None else decode_entry(message.data or b"")

    async def _message(self, kind: str, from_seq: int) -> RawStreamMsg | None:
        """The first entry of a kind from a sequence of the chain's stream on."""
        try:
            return await self._broker.js.get_msg(
                self.stream, from_seq, f"{SUBJECT}.{self._name}.{kind}", next=True
            )
        except NotFoundError:
            return None
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def _last_message(self, kind: str) -> RawStreamMsg | None:
        try:
            # Not a direct get: a replica may answer that with a former entry.
            return await self._broker.js.get_last_msg(self.stream, f"{SUBJECT}.{self._name}.{kind}")
        except NotFoundError:
            return None
        except _FAILURES as error:
            raise failure(self._broker, error) from None
