"""Catching up: a lagging subscriber reads the stream at its own pace until it meets the feed."""

import asyncio
from contextlib import aclosing

import structlog

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import UnknownStream, bounds
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.streaming.batches import MessageBatches
from event_gateway.streaming.feed import Feed, StreamCounters
from event_gateway.streaming.subscriber import Subscriber

log = structlog.get_logger(__name__)

READERS = 128  # subscribers that read at the same time; the others wait
READ_AHEAD = 128  # messages that a reader requests
READ_AHEAD_BYTES = 512 * 1024
PATIENCE = 2.0  # seconds for which a reader waits for its subscriber, before others read


class CatchUp:
    """Reads streams for lagging subscribers, a bounded number at a time."""

    def __init__(self, broker: Broker, batches: MessageBatches, counters: StreamCounters) -> None:
        self._broker = broker
        self._batches = batches
        self._counters = counters
        self._turns = asyncio.Semaphore(READERS)

    async def run(self, feed: Feed, subscriber: Subscriber, from_time: float | None) -> None:
        """Returns once the subscriber is live. ``from_time``: where it starts, in seconds since the
        epoch, in place of its position."""
        while True:
            await subscriber.outbox.room()
            recent = None if from_time is not None else feed.recent.after(subscriber.position)
            if recent is not None:
                before = subscriber.sent
                complete = subscriber.offer(recent)
                self._counters.sent(subscriber.stream or "", subscriber.sent - before)
                if complete and self._joined(feed, subscriber):
                    return
                continue
            before_read = subscriber.position
            async with self._turns:
                if await self._read(feed, subscriber, from_time):
                    return
            if subscriber.position != before_read:
                from_time = None

    def _joined(self, feed: Feed, subscriber: Subscriber) -> bool:
        if not feed.join(subscriber):
            return False
        subscriber.lagging = False
        subscriber.notify("caught_up")
        return True

    async def _read(self, feed: Feed, subscriber: Subscriber, from_time: float | None) -> bool:
        """Reads the stream; True once the subscriber is live, False if it must wait for a turn."""
        batches = follow_stream(
            self._broker, feed.source, from_time=from_time, read_ahead=READ_AHEAD,
            max_bytes=READ_AHEAD_BYTES,
            from_seq=None if from_time is not None else subscriber.position + 1,
        )  # fmt: skip
        async with aclosing(batches):
            async for batch in batches:
                if batch:
                    if not await self._send(feed, subscriber, batch, from_time):
                        return False
                    from_time = None
                elif self._broker.connected:
                    await self._skip(feed, subscriber, from_time)
                if self._joined(feed, subscriber):
                    return True
        return False

    async def _send(
        self, feed: Feed, subscriber: Subscriber, batch: list[Pulled], from_time: float | None
    ) -> bool:
        gaps_are_loss = from_time is None and not feed.holes
        expected = subscriber.position + 1 if gaps_are_loss else None
        messages = await self._batches.read(feed.source, batch, expected)
        before = subscriber.sent
        try:
            while not subscriber.offer(messages):
                async with asyncio.timeout(PATIENCE):
                    await subscriber.outbox.room()
        except TimeoutError:
            return False
        finally:
            self._counters.sent(subscriber.stream or "", subscriber.sent - before)
        return True

    async def _skip(self, feed: Feed, subscriber: Subscriber, from_time: float | None) -> None:
        """Nothing came: the messages after the position may have expired."""
        try:
            first, last = await bounds(self._broker, feed.source)
        except (*BrokerError, UnknownStream):
            return
        past = last if from_time is not None else first - 1
        if past <= subscriber.position:
            return
        if from_time is None and not feed.holes:
            subscriber.missed(subscriber.position + 1, past)
        subscriber.position = past
