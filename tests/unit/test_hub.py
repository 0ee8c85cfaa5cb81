"""The hub: a subscriber that falls behind always has a reader, or is live."""

import asyncio
from typing import Any, cast

from event_gateway.streaming.feed import Feed
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.subscriber import Subscriber
from support.patience import PATIENCE


class _Lagging:
    """The part of a subscriber that the hub and its readers use."""

    def __init__(self) -> None:
        self.id = "a"
        self.lagging = False
        self.states: list[str] = []

    def notify(self, state: str) -> None:
        self.states.append(state)


class _Readers:
    """Readers that make their subscriber live and then take a while to close."""

    def __init__(self) -> None:
        self.runs = 0
        self.closing = asyncio.Event()

    async def run(self, feed: Feed, subscriber: Subscriber) -> None:
        self.runs += 1
        feed.live[subscriber.id] = subscriber
        await self.closing.wait()


async def test_a_subscriber_that_falls_behind_while_its_reader_closes_gets_another_reader() -> None:
    nothing: Any = None
    hub = Hub(nothing, nothing, nothing, tracing=nothing, supervisor=nothing)
    readers = _Readers()
    hub._catching_up = cast(Any, readers)
    feed = Feed(
        "S", 0, holes=False, broker=nothing, batches=nothing, counters=nothing, tracing=nothing,
        on_behind=hub._on_behind,
    )  # fmt: skip
    subscriber = cast(Subscriber, _Lagging())
    hub._subscribers[subscriber.id] = subscriber
    hub._on_behind(feed, subscriber)
    while not feed.live:
        await asyncio.sleep(0)
    del feed.live[subscriber.id]  # the feed has found its buffer full again
    hub._on_behind(feed, subscriber)
    async with asyncio.timeout(PATIENCE):
        while not feed.live:
            await asyncio.sleep(0)
    readers.closing.set()
    async with asyncio.timeout(PATIENCE):
        while hub._readers:
            await asyncio.sleep(0)
    assert (readers.runs, list(feed.live)) == (2, [subscriber.id])
