"""Whatever is routed in which order: every reader of an event gets the enrichment of the first."""

import random
import time

import pytest

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.event_cache import EventCache
from event_gateway.state.event_index import EventIndex


def _made(chance: random.Random, number: int, now: float) -> Received:
    """An event of one of a few subjects and correlation ids, with few new sources and ids, and
    attributes of up to 3,000 characters."""
    extensions: dict[str, str | int | bool] = {}
    if chance.random() < 0.4:
        correlations = ["c1", "c2", f"e{chance.randrange(number + 1)}"]
        extensions["correlationid"] = chance.choice(correlations)
    if chance.random() < 0.2:
        extensions["causationid"] = f"e{chance.randrange(number + 1)}"
    known = number if chance.random() < 0.9 else chance.randrange(number + 1)
    event = Event(
        f"e{known}", chance.choice(["s", "s", "s", "s2"]),
        "t" + "y" * chance.choice([0, 0, 0, 0, 300, 3000]), chance.choice([None, "a", "b", "c"]),
        extensions=extensions, data=b"{}",
        kind=DataKind.JSON if chance.random() < 0.95 else DataKind.BINARY,
    )  # fmt: skip
    return Received(event, "S", number + 1, now + number * 1e-6)


@pytest.mark.parametrize("seed", [2, 5, 9, 18, 33, 37])
async def test_every_reader_gets_the_same(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    now = time.time() - 5 * 3600
    monkeypatch.setattr(time, "time", lambda: now)
    client = await connect_redis(servers[1])
    cache = EventCache(client, "1", index=EventIndex(client, 60.0, {}))
    texts: dict[int, bytes] = {}
    events: list[Received] = []
    waiting: list[Received] = []
    routed: list[Received] = []

    async def read(batch: list[Received], *, routes: bool) -> None:
        contexts = await cache.remember(batch, routes=routes)
        for received, context in zip(batch, contexts, strict=True):
            if received.event.kind is DataKind.JSON and not (routes and received.unwanted):
                assert texts.setdefault(received.seq, context.enrichment) == context.enrichment

    try:
        for _ in range(60):
            now += chance.choice([0.01, 1, 30, 1500])
            for _ in range(chance.choice([1, 1, 2, 5, 40])):
                events.append(_made(chance, len(events), now))
                waiting.append(events[-1])
            if chance.random() < 0.3:
                continue
            count = chance.randrange(1, len(waiting) + 1)
            if chance.random() < 0.2:  # another process is behind
                batch, waiting = waiting[-count:], waiting[:-count]
            else:
                batch, waiting = waiting[:count], waiting[count:]
            for received in batch:
                received.unwanted = chance.random() < 0.3
            again = chance.choices(routed, k=chance.choice([0, 0, 3])) if routed else []
            twice = batch[: chance.choice([0, 0, 3])]
            await read([*batch, *again, *twice], routes=True)
            routed += batch
            for received in chance.choices(routed, k=5):
                await read([received], routes=False)
        for received in events:
            if received in routed:
                await read([received], routes=False)
    finally:
        await client.aclose()
