"""Writes an export: the messages that a stream has left, with their chain and its anchors."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from event_gateway.broker.chain_log import ChainLog
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import bounds, stream_name
from event_gateway.broker.stored_messages import stored_messages, unsilenced
from event_gateway.core.compliance.anchor import held_since
from event_gateway.core.compliance.chain import ChainRecord, StoredMessage
from event_gateway.core.compliance.export import (
    Begin,
    End,
    decode_entry,
    encode,
    message_line,
)
from event_gateway.core.compliance.packed_export import packed_line, packed_messages
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.times import rfc3339

PATIENCE = 10.0  # seconds
PIECE = 128 * 1024  # bytes of lines that go out at a time, at least


@dataclass(frozen=True, slots=True)
class Form:
    """How an export is written: ``line`` writes one of its lines, ``messages`` some messages."""

    line: Callable[[bytes], bytes]
    messages: Callable[[Sequence[StoredMessage]], bytes]


def _line(line: bytes) -> bytes:
    return line + b"\n"


def _message_lines(messages: Sequence[StoredMessage]) -> bytes:
    return b"".join([message_line(message) + b"\n" for message in messages])


LINES = Form(_line, _message_lines)
PACKED = Form(packed_line, packed_messages)


async def export(
    broker: Broker, definition: StreamDefinition, form: Form = LINES
) -> AsyncGenerator[bytes, None]:
    """The export in a form, some of its lines at a time; the first alone. What comes into the
    stream after its beginning is left out.

    Raises UnknownStream, StreamGone, Silent and what BrokerError names: before the first line, or
    on the way, if NATS goes away; then the export has no end.
    """
    async with contextlib.aclosing(_written(broker, definition, form)) as lines:
        yield await anext(lines)
        pieces, size = [], 0
        async for piece in lines:
            pieces.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join(pieces)


async def _written(
    broker: Broker, definition: StreamDefinition, form: Form
) -> AsyncGenerator[bytes, None]:
    name = definition.name
    chain = ChainLog(broker, name)
    await _stated(chain, definition)
    # First the chain's end, so that the messages which it covers are there.
    chain_last = await chain.last_seq()
    held = await bounds(broker, stream_name(name))
    start = await _start(chain, held.first)
    messages = _Messages(broker, stream_name(name), form, first=held.first, last=held.last)
    records = 0
    try:
        first = await messages.begin()  # from here on it cannot leave before it is written
        begin = Begin(
            stream=name, first=first, last=held.last, retention=definition.retention,
            max_messages=definition.max_messages, max_bytes=definition.max_bytes,
            held_since=held_since(definition),
            exported_at=rfc3339(time.time()),
        )  # fmt: skip
        yield form.line(encode(begin))
        async with contextlib.aclosing(chain.read(start, chain_last)) as entries:
            async for entry in entries:
                yield form.line(entry.data)
                decoded = decode_entry(entry.data)
                if isinstance(decoded, ChainRecord):
                    records += 1
                    async for lines in messages.up_to(min(decoded.last, held.last)):
                        yield lines
        async for lines in messages.up_to(held.last):
            yield lines
        yield form.line(encode(End(messages.count, records)))
    finally:
        await messages.close()


async def _stated(chain: ChainLog, definition: StreamDefinition) -> None:
    """Waits until the last anchor states the present limits and holds, for PATIENCE seconds at
    most: a hold that was released a moment ago would seem to be broken by what has left since."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        anchor = await chain.last_anchor()
        if anchor is None or anchor.read().states(definition):
            return
        await asyncio.sleep(0.2)


async def _start(chain: ChainLog, first_message: int) -> int:
    """Where to begin in the chain: at the last anchor that a message which has left follows, so
    that a verification can tell when that message came; else at the first entry."""
    if first_message <= 2:
        return 1
    return await chain.last_anchor_before(first_message - 1) or 1


class _Messages:
    """The messages of a stream from ``first`` to ``last``, written in their order."""

    def __init__(self, broker: Broker, source: str, form: Form, *, first: int, last: int) -> None:
        self._write = form.messages
        self._batches = unsilenced(stored_messages(broker, source, first))
        self._last = last
        self._waiting: list[StoredMessage] = []
        self._next = first
        self.count = 0

    async def begin(self) -> int:
        """Reads the first of them, and returns its sequence; behind the last if there is none."""
        if self._next > self._last:
            return self._last + 1
        self._waiting = await anext(self._batches)
        return self._waiting[0].seq

    async def up_to(self, seq: int) -> AsyncIterator[bytes]:
        """The messages up to a sequence, some of them at a time."""
        while self._next <= seq:
            if not self._waiting:
                self._waiting = await anext(self._batches)
            taken = [message for message in self._waiting if message.seq <= seq]
            self._waiting = self._waiting[len(taken) :]
            if taken:
                self._next = taken[-1].seq + 1
                self.count += len(taken)
                yield self._write(taken)
            if self._waiting:
                return

    async def close(self) -> None:
        """Ends the reading."""
        await self._batches.aclose()
