"""Rereads a stream from its checkpoint, and queues the deliveries that have no record."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.provision import ROUTER
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.webhook.delivery import Delivery, Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.routing.index import Index
from event_gateway.state.checkpoints import Checkpoint, Checkpoints
from event_gateway.state.connection import StateError
from event_gateway.state.event_index import EventIndex
from event_gateway.state.ledger import Ledger

log = structlog.get_logger(__name__)

HOLD = 15.0  # seconds until another process takes the rereading over, unless it is renewed
SETTLE = 1.0  # seconds within which an event that is being routed has its records
PART = 256  # messages that are reread in one step


class TimeLimits(Protocol):
    """Says how long deliveries may take."""

    @property
    def max_age(self) -> float:
        """Seconds that any delivery may take at most."""

    def time_left(self, webhook: Webhook, event_at: float, /) -> float:
        """Seconds until the deadline of a delivery whose event the log took at that time."""


class Rereading:
    """Rereads streams, one process a stream at a time."""

    def __init__(
        self,
        broker: Broker,
        checkpoints: Checkpoints,
        ledger: Ledger,
        index: Index,
        *,
        decoder: EventDecoder,
        deadlines: TimeLimits,
        event_index: EventIndex,
    ) -> None:
        self._broker = broker
        self._checkpoints = checkpoints
        self._ledger = ledger
        self._index = index
        self._decoder = decoder
        self._deadlines = deadlines
        self._event_index = event_index
        self._interruptions: dict[str, int] = {}  # by stream, since it was read last

    async def reread(
        self, stream: str, known: Callable[[], Checkpoint | None], *, skip: bool, decide: bool
    ) -> int | None:
        """Rereads a stream up to what its router has taken; returns that sequence once all is
        queued, None where it was interrupted, or is for others to do.

        ``known()`` is the checkpoint, None where the stream is not routed any more. ``skip``: marks
        it as reread as it is. ``decide``: without a checkpoint nothing is reread.
        """
        try:
            if not await self._checkpoints.lease(stream, HOLD):
                return None
            server, checkpoint = self._checkpoints.server, known()
            # Read after the mark of that checkpoint: a process that marks the stream later has it
            # read again.
            info = await self._broker.js.consumer_info(stream, ROUTER)
            # The router itself processes what was not delivered to it yet.
            until = info.delivered.stream_seq if info.delivered else 0
            settled = info.ack_floor.stream_seq if info.ack_floor else 0
            if checkpoint is None or (checkpoint.seq is None and decide and until):
                return None
            at = checkpoint.seq
            position = until + 1 if skip else (at or 0) + 1
            since = time.time() - self._deadlines.max_age if at is None and not skip else None
            queued = read = 0
            while position <= until:
                page = await read_page(
                    self._broker, stream, from_seq=position, from_time=since, limit=PART
                )
                since = None
                self._goes_on(stream)
                part = [pulled for pulled in page.messages if pulled.seq <= until]
                read += len(part)
                queued += await self._queue_missing(stream, part, settled)
                position = part[-1].seq + 1 if part else until + 1
                if not await self._checkpoints.lease(stream, HOLD):
                    return None
                if not await self._checkpoints.advance(stream, position - 1, server, mark=None):
                    return None
            if not await self._checkpoints.advance(stream, until, server, mark=checkpoint.mark):
                return None
            if read:
                log.info("the log is reread", stream=stream, events=read, queued=queued)
            return until
        except (*StateError, *BrokerError) as error:
            self._interrupted(stream, error)
            return None
        finally:
            with contextlib.suppress(*StateError):  # then it expires
                await self._checkpoints.release(stream)

    def _interrupted(self, stream: str, error: Exception) -> None:
        """Logs an interruption, of an outage only the first: it is tried again each second."""
        count = self._interruptions[stream] = self._interruptions.get(stream, 0) + 1
        if count == 1:
            reason = str(error) or type(error).__name__
            log.warning("rereading interrupted, it is tried again", stream=stream, error=reason)

    def _goes_on(self, stream: str) -> None:
        if count := self._interruptions.pop(stream, 0):
            log.info("rereading goes on after interruptions", stream=stream, count=count)

    async def _queue_missing(self, stream: str, part: Sequence[Pulled], settled: int) -> int:
        """Queues the deliveries of these events that have no record; returns how many.

        Up to the sequence ``settled`` all deliveries had records. The router may be about to write
        the first record of later ones.
        """
        pairs: list[tuple[Received, Webhook]] = []
        events = [received for _, received in self._decoder.decode(stream, part).events]
        if stream != LIFECYCLE:
            await self._event_index.add(events)
        for received in events:
            pairs += [
                (received, webhook)
                for webhook in self._index.match_safely(received)
                if self._deadlines.time_left(webhook, received.time) > 0
            ]
        missing = await self._without_record(pairs)
        if missing and missing[-1][0].seq > settled:
            await asyncio.sleep(SETTLE)
            missing = await self._without_record(missing)
        if missing:
            await self._queue(missing)
        return len(missing)

    async def _without_record(
        self, pairs: Sequence[tuple[Received, Webhook]]
    ) -> list[tuple[Received, Webhook]]:
        known = await self._ledger.known([(webhook, received) for received, webhook in pairs])
        return [pair for pair, recorded in zip(pairs, known, strict=True) if not recorded]

    async def _queue(self, missing: Sequence[tuple[Received, Webhook]]) -> None:
        left = len(missing)
        written = asyncio.Event()

        def recorded() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                written.set()

        for received, webhook in missing:
            event = received.event
            # What this process has not written yet is newer than what is queued here.
            if self._ledger.call_once_written(webhook.id, event, recorded):
                continue
            delivery = Delivery(
                webhook.id, event.id, event.source, received.stream, received.seq,
                self._ledger.token(), event_at=received.time,
            )  # fmt: skip
            self._ledger.submit(delivery, Status.PENDING, wait=0.0, fresh=True, recorded=recorded)
        await written.wait()
