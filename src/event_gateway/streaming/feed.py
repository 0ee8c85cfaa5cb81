"""A feed: the live end of one stream, read once per process and sent to all its subscribers."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from event_gateway.broker.connection import Broker
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.core.matching.pattern import matches
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.streaming.batches import MessageBatches
from event_gateway.streaming.feed_spans import record_streaming
from event_gateway.streaming.recent_messages import RecentMessages
from event_gateway.streaming.stream_message import StreamMessage
from event_gateway.streaming.subscriber import Subscriber
from event_gateway.tasks import Supervisor

AT_ONCE = 512  # subscribers that are written to in one turn of the event loop: some 5 ms
MAX_SUBJECTS = 4096  # of which the feed caches whether a subscriber is interested


class StreamCounters(Protocol):
    """Counts events sent and slow subscribers."""

    def sent(self, stream: str, count: int) -> None:
        """Events were sent to subscribers of a stream; of subjects, the stream is empty."""

    def slow(self) -> None:
        """A subscriber fell behind its live feed."""


class Feed:
    """One JetStream stream and its subscribers in this process.

    ``position``: the last sequence sent to the subscribers in ``live``. ``subscribers`` has those
    that catch up, too. ``opening`` counts the subscribers that are about to join. ``holes``: the
    stream's sequences may have holes that are no loss. Calls ``on_behind`` for each live subscriber
    that falls behind.
    """

    def __init__(
        self,
        source: str,
        position: int,
        *,
        holes: bool,
        broker: Broker,
        batches: MessageBatches,
        counters: StreamCounters,
        tracing: Tracing,
        on_behind: Callable[["Feed", Subscriber], None],
    ) -> None:
        self._broker = broker
        self._batches = batches
        self._counters = counters
        self._tracing = tracing
        self._on_behind = on_behind
        self.source = source
        self.position = position
        self.holes = holes
        self.live: dict[str, Subscriber] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.recent = RecentMessages(position)
        self.opening = 0
        self.task: asyncio.Task[None] | None = None
        self._patterns: dict[str, tuple[str, ...]] = {}
        self._interest: dict[str, bool] = {}

    def start(self, supervisor: Supervisor) -> None:
        """Starts to send the stream's messages to the live subscribers."""
        self.task = supervisor.start("feed", self.run, about=self.source)

    def enter(self, subscriber: Subscriber, patterns: tuple[str, ...] | None) -> None:
        """Adds a subscriber, which is not live yet. ``patterns``: the only subjects that it is
        interested in; None for all."""
        self.subscribers[subscriber.id] = subscriber
        if patterns is not None:
            self._patterns[subscriber.id] = patterns
            self._interest.clear()

    def leave(self, subscriber_id: str) -> None:
        """Removes a subscriber."""
        self.subscribers.pop(subscriber_id, None)
        self.live.pop(subscriber_id, None)
        if self._patterns.pop(subscriber_id, None) is not None:
            self._interest.clear()

    def join(self, subscriber: Subscriber) -> bool:
        """Makes a subscriber live if it has received all up to the feed's position; False if not.

        There is no await in here, so that the feed cannot move on in between: the next message of
        the feed is the next one of the subscriber.
        """
        if subscriber.position < self.position:
            return False
        if subscriber.id in self.subscribers:
            self.live[subscriber.id] = subscriber
        return True

    def has_interest(self, subject: str) -> bool:
        """Whether any subscriber is interested in the messages on a subject."""
        if len(self._patterns) < len(self.subscribers):
            return True
        known = self._interest.get(subject)
        if known is None:
            if len(self._interest) >= MAX_SUBJECTS:
                self._interest.clear()
            known = self._interest[subject] = any(
                matches(pattern, subject)
                for patterns in self._patterns.values()
                for pattern in patterns
            )
        return known

    async def run(self) -> None:
        """Sends messages to all live subscribers. It never returns."""
        # A former run may have crashed before all live subscribers got its last messages.
        for subscriber in list(self.live.values()):
            if subscriber.position < self.position:
                del self.live[subscriber.id]
                self._on_behind(self, subscriber)
        async for batch in follow_stream(
            self._broker, self.source, from_seq=self.position + 1, empty_after=None
        ):
            if not batch:
                continue
            start = time.time()
            expected = None if self.holes else self.position + 1
            messages = await self._batches.read(self.source, batch, expected, self.has_interest)
            self.position = messages[-1].seq
            self.recent.add(messages)
            subscribers = len(self.live)
            await self._send(messages)
            tracer = self._tracing.tracer
            if tracer is not None and subscribers:
                record_streaming(tracer, self.source, messages, subscribers, start)

    async def _send(self, messages: list[StreamMessage]) -> None:
        counters = self._counters
        alone = messages[0] if len(messages) == 1 else None
        sent: defaultdict[str | None, int] = defaultdict(int)
        live = list(self.live.values())
        for first in range(0, len(live), AT_ONCE):
            if first:
                await asyncio.sleep(0)
            for subscriber in live[first : first + AT_ONCE]:
                if first and subscriber.id not in self.live:
                    continue  # it has ended meanwhile
                before = subscriber.sent
                if (alone is None or not subscriber.send_now(alone)) and not subscriber.offer(
                    messages
                ):
                    del self.live[subscriber.id]
                    counters.slow()
                    self._on_behind(self, subscriber)
                sent[subscriber.stream] += subscriber.sent - before
        for name, count in sent.items():
            if count:
                counters.sent(name or "", count)
