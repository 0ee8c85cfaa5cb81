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
from event_gateway.streaming.start_position import Gap
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

    async def run(self, feed: Feed, subscriber: Subscriber) -> None:
        """Returns once the subscriber is live."""
        while True:
            await subscriber.buffer.room()
            recent = feed.recent.after(subscriber.position)
            if recent is not None:
                before = subscriber.sent
                complete = subscriber.offer(recent)
                self._counters.sent(subscriber.stream or "", subscriber.sent - before)
                if complete and self._joined(feed, subscriber):
                    return
                continue
            async with self._turns:
                if await self._read(feed, subscriber):
                    return

    def _joined(self, feed: Feed, subscriber: Subscriber) -> bool:
        if not feed.join(subscriber):
            return False
        subscriber.lagging = False
        subscriber.notify("caught_up")
        return True

    async def _read(self, feed: Feed, subscriber: Subscriber) -> bool:
        """Reads the stream; True once the subscriber is live, False if it must wait for a turn."""
        batches = follow_stream(
            self._broker, feed.source, from_seq=subscriber.position + 1, read_ahead=READ_AHEAD,
            max_bytes=READ_AHEAD_BYTES,
        )  # fmt: skip
        async with aclosing(batches):
            async for batch in batches:
                if batch:
                    if not await self._send(feed, subscriber, batch):
                        return False
                elif self._broker.connected:
                    await self._skip(feed, subscriber)
                if self._joined(feed, subscriber):
                    return True
        return False

    async def _send(self, feed: Feed, subscriber: Subscriber, batch: list[Pulled]) -> bool:
        expected = None if feed.holes else subscriber.position + 1
        messages = await self._batches.read(feed.source, batch, expected)
        before = subscriber.sent
        try:
            while not subscriber.offer(messages):
                async with asyncio.timeout(PATIENCE):
                    await subscriber.buffer.room()
        except TimeoutError:
            return False
        finally:
            self._counters.sent(subscriber.stream or "", subscriber.sent - before)
        return True

    async def _skip(self, feed: Feed, subscriber: Subscriber) -> None:
        """Nothing came: the messages after the position may have expired."""
        try:
            first, _, _ = await bounds(self._broker, feed.source)
        except (*BrokerError, UnknownStream):
            return
        past = first - 1
        if past <= subscriber.position:
            return
        if not feed.holes:
            subscriber.missed(Gap(subscriber.position + 1, past, recreated=False))
        subscriber.position = past
