"""The live end of one stream: read once a process, given to all who are there."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from event_gateway.broker.connection import Broker
from event_gateway.broker.stream_follower import follow
from event_gateway.core.matching.pattern import matches
from event_gateway.streaming.batches import MessageBatches
from event_gateway.streaming.recent_messages import RecentMessages
from event_gateway.streaming.stream_message import StreamMessage
from event_gateway.streaming.subscriber import Subscriber

AT_ONCE = 256  # subscribers that are written to before others get their turn
SUBJECTS = 4096  # of which it is kept in mind whether somebody wants them


class StreamCounters(Protocol):
    """StreamCounters what happens to subscribers of a stream."""

    def sent(self, stream: str, count: int) -> None:
        """So many events went to subscribers."""

    def slow(self) -> None:
        """One fell behind."""


class Feed:
    """One JetStream stream and its subscribers here.

    ``position``: the last sequence given to those in ``live``. ``subscribers`` are these and those
    that catch up. ``holes``: whether its sequences have holes that are no loss.
    """

    def __init__(self, source: str, position: int, *, holes: bool) -> None:
        self.source = source
        self.position = position
        self.holes = holes
        self.live: dict[str, Subscriber] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.recent = RecentMessages(position)
        self.opening = 0  # subscribers that are about to join
        self.task: asyncio.Task[None] | None = None
        self._patterns: dict[str, tuple[str, ...]] = {}
        self._interest: dict[str, bool] = {}

    def enter(self, subscriber: Subscriber, patterns: tuple[str, ...] | None) -> None:
        """Counts a subscriber in, live or not; ``patterns``: the only subjects that it wants."""
        self.subscribers[subscriber.id] = subscriber
        if patterns is not None:
            self._patterns[subscriber.id] = patterns
            self._interest.clear()

    def leave(self, subscriber_id: str) -> None:
        """It is gone."""
        self.subscribers.pop(subscriber_id, None)
        self.live.pop(subscriber_id, None)
        if self._patterns.pop(subscriber_id, None) is not None:
            self._interest.clear()

    def join(self, subscriber: Subscriber) -> bool:
        """Takes it into the live feed if it has got all that this has given; False if not.

        There is no await in here, so that the feed cannot move on in between: what it gives next
        is the first that this one has not seen.
        """
        if subscriber.position < self.position:
            return False
        if subscriber.id in self.subscribers:
            self.live[subscriber.id] = subscriber
        return True

    def has_interest(self, subject: str) -> bool:
        """Whether any of its subscribers wants what comes on a subject."""
        if len(self._patterns) < len(self.subscribers):
            return True
        known = self._interest.get(subject)
        if known is None:
            if len(self._interest) >= SUBJECTS:
                self._interest.clear()
            known = self._interest[subject] = any(
                matches(pattern, subject) for some in self._patterns.values() for pattern in some
            )
        return known

    async def run(
        self,
        broker: Broker,
        batches: MessageBatches,
        counts: StreamCounters,
        behind: Callable[["Feed", Subscriber], None],
    ) -> None:
        """Gives what comes to all who are live, for ever; ``behind`` gets who falls behind."""
        # A former run may have crashed before all live subscribers got its last messages.
        for subscriber in list(self.live.values()):
            if subscriber.position < self.position:
                del self.live[subscriber.id]
                behind(self, subscriber)
        async for batch in follow(broker, self.source, from_seq=self.position + 1):
            if not batch:
                continue
            expected = None if self.holes else self.position + 1
            messages = await batches.read(self.source, batch, expected, self.has_interest)
            self.position = messages[-1].seq
            self.recent.add(messages)
            await self._give(messages, counts, behind)

    async def _give(
        self,
        messages: list[StreamMessage],
        counts: StreamCounters,
        behind: Callable[["Feed", Subscriber], None],
    ) -> None:
        sent: dict[str, int] = {}
        for number, subscriber in enumerate(list(self.live.values()), 1):
            if subscriber.id in self.live:
                before = subscriber.sent
                if not subscriber.offer(messages):
                    del self.live[subscriber.id]
                    counts.slow()
                    behind(self, subscriber)
                name = subscriber.stream or ""
                sent[name] = sent.get(name, 0) + subscriber.sent - before
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        for name, count in sent.items():
            if count:
                counts.sent(name, count)
