"""The hub: each stream is read once a process and its messages go to all its subscribers.

A subscriber that starts at an earlier message, or falls behind, reads the stream at its own pace
and joins the live feed at the message where both meet.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence

import structlog

from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import bounds, seq_before
from event_gateway.core.streams.start import Start
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.streaming.batches import MessageBatches
from event_gateway.streaming.catch_up import CatchUp
from event_gateway.streaming.feed import Feed, StreamCounters
from event_gateway.streaming.send_buffer import BufferBudget
from event_gateway.streaming.start_position import Gap, former_position, position_of
from event_gateway.streaming.subscriber import Subscriber
from event_gateway.tasks import Supervisor, end, spawn

log = structlog.get_logger(__name__)

CATCH_UP_AGAIN = 1.0  # seconds from a failure to the next try


class Hub:
    """All live subscribers of this process. ``budget``: the bytes that may wait for them."""

    def __init__(
        self,
        broker: Broker,
        decoder: EventDecoder,
        counters: StreamCounters,
        *,
        tracing: Tracing,
        supervisor: Supervisor,
    ) -> None:
        self._broker = broker
        self._counters = counters
        self._tracing = tracing
        self._supervisor = supervisor
        self.batches = MessageBatches(decoder)
        self.budget = BufferBudget()
        self._feeds: dict[str, Feed] = {}
        self._feed_of: dict[str, Feed] = {}  # by subscription
        self._opening = asyncio.Lock()
        self._catching_up = CatchUp(broker, self.batches, counters)
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._subscribers: dict[str, Subscriber] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def counts(self) -> dict[str, int]:
        """Live subscribers by named stream; those of subjects by the empty name."""
        out: dict[str, int] = {}
        for subscriber in self._subscribers.values():
            stream = subscriber.stream or ""
            out[stream] = out.get(stream, 0) + 1
        return out

    def subscribers(self) -> Sequence[Subscriber]:
        """All subscribers of this process."""
        return list(self._subscribers.values())

    def subscription_ids(self) -> list[str]:
        """The ids of all subscriptions of this process."""
        return list(self._subscribers)

    def subscriber(self, subscription_id: str) -> Subscriber | None:
        """The subscriber of that id, None if it is not in this process."""
        return self._subscribers.get(subscription_id)

    def lag(self, subscriber: Subscriber) -> int:
        """How many messages a subscriber is behind its feed."""
        feed = self._feeds.get(subscriber.source)
        return 0 if feed is None else max(0, feed.position - subscriber.position)

    async def subscribe(
        self,
        subscriber: Subscriber,
        start: Start,
        *,
        joined: Callable[[int], None],
        patterns: tuple[str, ...] | None = None,
        holes: bool = False,
    ) -> None:
        """Subscribes at a start position.

        Calls ``joined`` with the sequence before the first message, before any message is sent.
        ``patterns``: the only subjects of the log that the subscriber is interested in; None for
        all. ``holes``: whether the stream's sequences have holes that are no loss.
        Raises UnknownStream, or the exceptions in BrokerError.
        """
        feed = await self._open(subscriber.source, holes=holes)
        try:
            position, gap = await self._position(feed, start)
        except BaseException:
            feed.opening -= 1
            self._leave(feed)
            raise
        subscriber.begin(position)
        self._subscribers[subscriber.id] = subscriber
        self._feed_of[subscriber.id] = feed
        feed.enter(subscriber, patterns)
        feed.opening -= 1
        joined(position)
        if gap is not None and not holes:
            subscriber.missed(gap)
        if not feed.join(subscriber):
            self._catch_up(feed, subscriber)
        if self._feeds.get(subscriber.source) is not feed:
            subscriber.on_ended(subscriber.id, "stream_recreated")  # in between

    async def _position(self, feed: Feed, start: Start) -> tuple[int, Gap | None]:
        """The sequence before the first message, and what the stream does not have of those that
        the start requests."""
        if start.new or start.seq == feed.position + 1:
            return feed.position, None
        if start.time is not None:
            return await seq_before(self._broker, feed.source, start.time), None
        stream = await bounds(self._broker, feed.source)
        if start.seq is None:
            return stream.first - 1, former_position(stream) if start.recreated else None
        return position_of(stream, max(start.seq, 1))

    def unsubscribe(self, subscription_id: str) -> Subscriber | None:
        """Ends a subscription; returns the subscriber, None if it has ended already."""
        subscriber = self._subscribers.pop(subscription_id, None)
        if subscriber is None:
            return None
        self._end(self._readers.pop(subscription_id, None))
        feed = self._feed_of.pop(subscription_id)
        feed.leave(subscription_id)
        self._leave(feed)
        return subscriber

    def stream_deleted(self, stream: str) -> None:
        """Ends all subscriptions of a named stream, which was deleted."""
        for subscriber in list(self._subscribers.values()):
            if subscriber.stream == stream:
                subscriber.on_ended(subscriber.id, "stream_deleted")

    def stream_recreated(self, source: str) -> None:
        """Ends all subscriptions of a JetStream stream that was deleted and created again: what it
        holds now has other sequences. Later ones get a feed of their own."""
        feed = self._feeds.pop(source, None)
        if feed is not None:
            self._leave(feed)
        for subscriber in list(self._subscribers.values()):
            if subscriber.source == source:
                subscriber.on_ended(subscriber.id, "stream_recreated")

    async def stop(self) -> None:
        """Ends all feeds."""
        feeds = [*self._feeds.values(), *self._feed_of.values()]
        await end([*{feed.task for feed in feeds}, *self._readers.values()])
        await asyncio.gather(*self._ending)

    async def _open(self, source: str, *, holes: bool) -> Feed:
        """The feed of a stream; it stays open until the caller counts ``opening`` down."""
        async with self._opening:
            feed = self._feeds.get(source)
            if feed is None:
                last = (await bounds(self._broker, source)).last
                feed = self._feeds[source] = Feed(
                    source, last, holes=holes, broker=self._broker, batches=self.batches,
                    counters=self._counters, tracing=self._tracing, on_behind=self._on_behind,
                )  # fmt: skip
                feed.start(self._supervisor)
            feed.opening += 1
            return feed

    def _leave(self, feed: Feed) -> None:
        if not feed.subscribers and not feed.opening:
            if self._feeds.get(feed.source) is feed:
                del self._feeds[feed.source]
            self._end(feed.task)

    def _end(self, task: asyncio.Task[None] | None) -> None:
        if task is None or task.done():
            return
        ending = spawn(end([task]), name="feed-end")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _on_behind(self, feed: Feed, subscriber: Subscriber) -> None:
        subscriber.lagging = True
        subscriber.notify("lagging")
        self._catch_up(feed, subscriber)

    def _catch_up(self, feed: Feed, subscriber: Subscriber) -> None:
        # A former reader may still be closing its consumer; it does nothing for the subscriber.
        reader = asyncio.create_task(
            self._catching_up.run(feed, subscriber), name=f"catch-up-{subscriber.id}"
        )
        self._readers[subscriber.id] = reader
        reader.add_done_callback(functools.partial(self._on_reader_done, feed, subscriber))

    def _on_reader_done(self, feed: Feed, subscriber: Subscriber, task: asyncio.Task[None]) -> None:
        if self._readers.get(subscriber.id) is task:
            del self._readers[subscriber.id]
        if not task.cancelled() and task.exception() is not None:
            log.error("catching up failed, it is tried again",
                      subscription=subscriber.id, fault=task.exception())  # fmt: skip
            loop = asyncio.get_running_loop()
            loop.call_later(CATCH_UP_AGAIN, self._catch_up_again, feed, subscriber)

    def _catch_up_again(self, feed: Feed, subscriber: Subscriber) -> None:
        """Tries once more after a failure, unless the subscriber has ended or does not need it."""
        if (
            self._subscribers.get(subscriber.id) is subscriber
            and subscriber.id not in feed.live
            and subscriber.id not in self._readers
        ):
            self._catch_up(feed, subscriber)
