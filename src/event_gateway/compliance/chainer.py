"""Writes the hash chain of one compliance stream, as a consumer of its own.

One process does that for all: the leader. Should two of them hold themselves for it, NATS refuses
what one of them appends, because each append names the last sequence of the chain's stream. After a
crash, or a confirmation that did not come, the chain goes on behind its last record: that is what
counts, not what a process remembers.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from event_gateway.broker.chain_log import ChainLog, Overtaken
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.stored_messages import StreamGone, stored_messages
from event_gateway.compliance.anchoring import Anchoring
from event_gateway.core.compliance.chain import (
    DIGEST,
    ChainRecord,
    StoredMessage,
    digest,
    genesis,
    link,
)
from event_gateway.core.streams.definition import StreamDefinition

log = structlog.get_logger(__name__)

MAX_MESSAGES = 1000  # of one record
RETRY = 1.0  # seconds


class Chainer:
    """The chain of one stream. ``covered``: the last sequence that it covers; ``link``: there.

    ``every``: seconds for which messages gather for a record. ``leads``: whether this process
    still writes.
    """

    def __init__(
        self,
        broker: Broker,
        definition: StreamDefinition,
        anchoring: Anchoring,
        *,
        every: float,
        leads: Callable[[], bool],
        chained: Callable[[int], None],
    ) -> None:
        self.definition = definition
        self.covered = 0
        self.link = b""
        self.log = ChainLog(broker, definition.name)
        self._broker = broker
        self._anchoring = anchoring
        self._every = every
        self._leads = leads
        self._chained = chained
        self._chain_seq = 0  # of the last entry
        self._first = 0  # the first message that waits for its record
        self._digests: list[bytes] = []
        self._waits_since = 0.0  # monotonic
        self.problem: str | None = None  # why it does not go on
        self.went_back: str | None = None  # what is not there any more

    async def run(self) -> None:
        """Writes records and anchors while this process leads. It never returns."""
        while True:
            if not self._leads():
                await asyncio.sleep(RETRY)
                continue
            try:
                await self._write()
            except Overtaken:
                log.info("another process writes the chain of a stream",
                         stream=self.definition.name)  # fmt: skip
            except (ProvisionError, StreamGone, *BrokerError) as error:
                self._report(str(error) or type(error).__name__)
            await asyncio.sleep(RETRY)

    async def _write(self) -> None:
        name = self.definition.name
        await self.log.ensure(self.definition)
        await self._resume()
        await self._anchoring.resume(self.log)
        messages = stored_messages(self._broker, stream_name(name), self.covered + 1)
        async with contextlib.aclosing(messages) as batches:
            async for batch in batches:
                if not self._leads():
                    return
                await self._take(batch)
                if self._digests and time.monotonic() - self._waits_since >= self._every:
                    await self._append()
                if not self._digests:
                    self._chain_seq = await self._anchoring.anchor_if_due(
                        self.log, self.definition, self.covered, self.link.hex(), self._chain_seq
                    )
                if self._broker.connected:
                    self.problem = None

    async def _resume(self) -> None:
        """Finds where the chain ends. What is appended in between makes the next append fail."""
        self._digests = []
        before = self.covered
        self._chain_seq = await self.log.last_seq()
        record = await self.log.last_record()
        if record is None:
            self.covered, self.link = 0, genesis(self.definition.name)
        else:
            self.covered, self.link = record.last, bytes.fromhex(record.link)
        if self.covered < before:
            self.went_back = f"its chain had covered {before} messages, and covers {self.covered}"
            log.error("a chain has lost records", stream=self.definition.name,
                      reason=self.went_back)  # fmt: skip

    async def _take(self, batch: Sequence[StoredMessage]) -> None:
        for message in batch:
            seq = message.seq
            digests = self._digests
            if digests and (seq != self._first + len(digests) or len(digests) >= MAX_MESSAGES):
                await self._append()
                digests = self._digests
            if not digests:
                self._first = seq
                self._waits_since = time.monotonic()
            digests.append(digest(message))

    async def _append(self) -> None:
        digests, self._digests = b"".join(self._digests), []
        count = len(digests) // DIGEST
        following = link(self.link, self._first, digests)
        last = self._first + count - 1
        record = ChainRecord(self._first, last, self.link.hex(), following.hex(), digests)
        self._chain_seq = await self.log.append("record", record, self._chain_seq)
        self.covered, self.link = last, following
        self._chained(count)

    def _report(self, problem: str) -> None:
        if self.problem is None:
            log.warning("the chain of a stream cannot be written",
                        stream=self.definition.name, reason=problem)  # fmt: skip
        self.problem = problem
