"""The hub: each named stream is read once a process and its messages go to all its subscribers.

A subscriber that has to catch up, because it asked for earlier messages or fell behind, reads the
log at its own pace and joins the live feed at the very message where both meet.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

import structlog
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.follow import follow
from event_gateway.broker.named import origin, stream_name
from event_gateway.broker.provision import LIFECYCLE
from event_gateway.broker.pull import Pulled
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.event import Received
from event_gateway.core.formats import from_message, to_structured
from event_gateway.core.stream import EVENTS
from event_gateway.streaming.subscriber import Message, Outbox, Subscriber
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

Enrich = Callable[[Sequence[Received]], Awaitable[None]]
# Raises InvalidEvent where the router has set an event with these headers aside.
Admitted = Callable[[Received, Mapping[str, str] | None], None]


class UnknownStream(Exception):
    """No stream of that name."""


class _Feed:
    """The live end of one stream. ``position``: the last sequence given to its subscribers."""

    def __init__(self, stream: str, position: int) -> None:
        self.stream = stream
        self.position = position
        self.live: dict[str, Subscriber] = {}
        self.users = 0
        self.task: asyncio.Task[None] | None = None


class Hub:
    """All live subscribers of this process."""

    def __init__(
        self,
        broker: Broker,
        enrich: Enrich,
        admitted: Admitted,
        on_sent: Callable[[str, int], None],
    ) -> None:
        self._broker = broker
        self._enrich = enrich
        self._admitted = admitted
        self._on_sent = on_sent
        self._feeds: dict[str, _Feed] = {}
        self._opening = asyncio.Lock()
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        self._subscribers: dict[str, Subscriber] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def counts(self) -> dict[str, int]:
        """Live subscribers by stream."""
        return {name: feed.users for name, feed in self._feeds.items()}

    def ids(self) -> list[str]:
        """The ids of all live subscriptions."""
        return list(self._subscribers)

    async def subscribe(
        self,
        subscription_id: str,
        stream: str,
        outbox: Outbox,
        *,
        from_seq: int | None = None,
        from_time: float | None = None,
        from_first: bool = False,
        joined: Callable[[int], None],
        gone: Callable[[str], None],
    ) -> Subscriber:
        """Joins a stream: from now on, from a sequence, a time (seconds) or its beginning.

        ``joined`` is called with the sequence before the first message to come, before any does,
        ``gone`` with the subscription's id where its stream is deleted.
        Raises UnknownStream, or what BrokerError names.
        """
        feed = await self._open(stream)
        feed.users += 1
        try:
            position = feed.position
            if from_first or from_seq is not None or from_time is not None:
                first, last = await self._bounds(stream)
                wanted = 1 if from_seq is None else from_seq
                position = min(max(wanted, first), last + 1) - 1
            subscriber = Subscriber(subscription_id, stream, outbox, position, gone)
        except BaseException:
            self._leave(feed)
            raise
        self._subscribers[subscription_id] = subscriber
        joined(position)
        if from_time is None and subscriber.position >= feed.position:
            feed.live[subscription_id] = subscriber
        else:
            self._start_catching_up(feed, subscriber, from_time)
        return subscriber

    def unsubscribe(self, subscription_id: str) -> Subscriber | None:
        """Ends a subscription; gives it back, or None where it is not there any more."""
        subscriber = self._subscribers.pop(subscription_id, None)
        if subscriber is None:
            return None
        task = self._catching_up.pop(subscription_id, None)
        self._end(task)
        feed = self._feeds[subscriber.stream]
        feed.live.pop(subscription_id, None)
        self._leave(feed)
        return subscriber

    def drop(self, stream: str) -> None:
        """Tells all subscribers of a stream that it is gone."""
        for subscriber in list(self._subscribers.values()):
            if subscriber.stream == stream:
                subscriber.gone(subscriber.id)

    async def stop(self) -> None:
        """Ends all feeds."""
        tasks = [feed.task for feed in self._feeds.values() if feed.task]
        tasks += self._catching_up.values()
        await end(tasks)
        await asyncio.gather(*self._ending)

    async def _open(self, stream: str) -> _Feed:
        async with self._opening:
            feed = self._feeds.get(stream)
            if feed is None:
                _, last = await self._bounds(stream)
                feed = self._feeds[stream] = _Feed(stream, last)
                feed.task = asyncio.create_task(self._run(feed), name=f"feed-{stream}")
            return feed

    def _leave(self, feed: _Feed) -> None:
        feed.users -= 1
        if feed.users == 0:
            del self._feeds[feed.stream]
            self._end(feed.task)

    def _end(self, task: asyncio.Task[None] | None) -> None:
        ending = asyncio.create_task(end([task]))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _bounds(self, stream: str) -> tuple[int, int]:
        try:
            state = (await self._broker.js.stream_info(stream_name(stream))).state
        except NotFoundError:
            raise UnknownStream(stream) from None
        return max(state.first_seq, 1), state.last_seq

    async def _run(self, feed: _Feed) -> None:
        async for batch in follow(
            self._broker, stream_name(feed.stream), from_seq=feed.position + 1
        ):
            if not batch:
                continue
            messages = await self._decode(batch)
            feed.position = batch[-1].seq
            for subscriber in list(feed.live.values()):
                if not subscriber.offer(messages):
                    del feed.live[subscriber.id]
                    subscriber.tell("lagging")
                    self._start_catching_up(feed, subscriber, None)
            self._on_sent(feed.stream, len(messages) * len(feed.live))

    def _start_catching_up(
        self, feed: _Feed, subscriber: Subscriber, from_time: float | None
    ) -> None:
        self._catching_up[subscriber.id] = asyncio.create_task(
            self._catch_up(feed, subscriber, from_time), name=f"catch-up-{subscriber.id}"
        )

    async def _catch_up(self, feed: _Feed, subscriber: Subscriber, from_time: float | None) -> None:
        batches = follow(
            self._broker,
            stream_name(feed.stream),
            from_seq=None if from_time is not None else subscriber.position + 1,
            from_time=from_time,
        )
        async with aclosing(batches):
            async for batch in batches:
                for message in await self._decode(batch):
                    await subscriber.outbox.room()
                    subscriber.offer([message])
                    self._on_sent(feed.stream, 1)
                if batch:
                    subscriber.position = max(subscriber.position, batch[-1].seq)
                elif self._broker.connected:
                    # Nothing there: what was behind the position may have expired meanwhile.
                    try:
                        first, last = await self._bounds(feed.stream)
                    except (*BrokerError, UnknownStream):
                        continue
                    past = last if from_time is not None else first - 1
                    subscriber.position = max(subscriber.position, past)
                if subscriber.position >= feed.position:
                    # No await between the comparison and joining, so the feed cannot move on in
                    # between: what it sends next is the first that this one has not seen.
                    feed.live[subscriber.id] = subscriber
                    self._catching_up.pop(subscriber.id, None)
                    subscriber.tell("caught_up")
                    return

    async def _decode(self, batch: list[Pulled]) -> list[Message]:
        decoded: list[tuple[int, Received]] = []
        for pulled in batch:
            source, seq = origin(pulled.headers) or (EVENTS, pulled.seq)
            try:
                received = from_message(
                    pulled.headers, pulled.data, subject=pulled.subject, stream=source,
                    seq=seq, time=pulled.time,
                )  # fmt: skip
                if source != LIFECYCLE:
                    self._admitted(received, pulled.headers)
            except InvalidEvent:
                continue  # the router sets it aside; for a subscriber it is no event
            decoded.append((pulled.seq, received))
        events = [received for _, received in decoded if received.stream != LIFECYCLE]
        if events:
            await self._enrich(events)
        return [
            Message(seq, to_structured(received.enriched or received.event).decode())
            for seq, received in decoded
        ]
