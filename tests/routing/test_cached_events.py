"""How an event is stored in the cache: in few bytes, and every reader gets the same enrichment."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
import redis.asyncio

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.text.times import LATEST, rfc3339, rfc3339_of_ms
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.event_cache import EventCache
from event_gateway.state.event_index import EventIndex
from event_gateway.state.keys import EVENT
from event_gateway.state.records import source_hash
from event_gateway.state.scripts import parts

pytestmark = pytest.mark.shared

CREATED = "2026-01-01T00:00:00Z"
IDS = [
    "a", "e1", "~", "a~", "a~b", "{", '{"id":"a"', '"', "\\", "\\\\", '\\"', 'a"', "a\\",
    '","source":"', '","source":"x","type":"y","time":null}', "a\tb", "\t", "\t\t", "\u0007", "é",
    "日本", "😀", "\u2028",
    "=", " ", "a b", "%s", "%1", "[", "null", "x" * 500, "/", "\\/", "\\u0061",
    "known", "1 2 3", f"a~{source_hash('s')}", f"a~{source_hash('other')}", "\x7f", "\u0000",
    "\u0000\u0000a",
]  # fmt: skip
SOURCES = ["s", '{"id":"a","source":"s', 'x","type":"y', "a\\", "{", "/ü", "\ta"]


@contextlib.asynccontextmanager
async def _cache(
    servers: tuple[str, str], version: str = "1"
) -> AsyncIterator[tuple[redis.asyncio.Redis, EventCache]]:
    client = await connect_redis(servers[1])
    try:
        yield client, EventCache(client, version, index=EventIndex(client, 60.0, {}))
    finally:
        await client.aclose()


def _event(name: str, source: str = "s", **rest: Any) -> Event:
    return Event(name, source, rest.pop("type", "t"), data=b"{}", kind=DataKind.JSON, **rest)


def _item(event: Event) -> bytes:
    """What others are told of an event, as every version has told it."""
    return msgspec.json.encode(
        {"id": event.id, "source": event.source, "type": event.type, "time": event.time}
    )


def _text(at: float, chain: Iterable[Event] = (), related: Iterable[Event] = ()) -> bytes:
    """The enrichment that version 1 has made of an event that the log received at a time."""
    lists = [b",".join(map(_item, events)) for events in (chain, related)]
    return (
        b'{"processed_at":"%s","gateway_version":"1","correlation_chain":[%s],"related_events":[%s]}'
        % (rfc3339(at).encode(), *lists)
    )


async def _read(cache: EventCache, *batch: Received, routes: bool = False) -> list[bytes]:
    return [context.enrichment for context in await cache.remember(batch, routes=routes)]


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
async def test_the_text_is_the_same_whatever_the_attributes(
    servers: tuple[str, str], at_once: bool
) -> None:
    chance = random.Random(3)
    now = time.time() - 10
    events: list[Event] = []
    for name in IDS:
        parent = {"causationid": events[-1].id} if events and len(events) % 3 else {}
        events.append(
            _event(
                name, chance.choice(SOURCES), type=chance.choice(["t", 'T"\\', '","time":"']),
                time=chance.choice([None, CREATED, ""]), subject="x", extensions=parent,
            )
        )  # fmt: skip
    batch = [Received(event, "S", n, now + n * 0.0137) for n, event in enumerate(events, 1)]
    expected = [
        _text(
            received.time,
            events[n // 3 * 3 : n] if n % 3 else [],
            events[max(0, n - 10) : n][::-1],
        )
        for n, received in enumerate(batch)
    ]
    async with _cache(servers) as (client, cache), _cache(servers, "2") as (_, later):
        if at_once:
            texts = await _read(cache, *batch, routes=True)
        else:
            texts = [(await _read(cache, received, routes=True))[0] for received in batch]
        assert texts == expected
        # For retries, and for readers of a copy, which has another time.
        assert await _read(later, *batch) == expected
        for received in batch:
            again = Received(received.event, "S", received.seq, received.time + 1.5)
            assert await _read(later, again) == [expected[received.seq - 1]]
            alone = Received(received.event, "S", 1000 + received.seq, received.time + 2)
            (context,) = await later.peek([alone])
            assert context.enrichment == expected[received.seq - 1]
        for received in batch:  # published again
            again = Received(received.event, "S", 2000 + received.seq, received.time + 3)
            (context,) = await later.remember([again], routes=True)
            assert context.enrichment == expected[received.seq - 1]
            assert context.duplicate_of == ("S", received.seq)
        for event in events:
            assert await client.hkeys(EVENT.key(event.id)) == [b"e"]


async def test_events_of_one_id_and_of_an_id_that_looks_like_a_key(
    servers: tuple[str, str],
) -> None:
    now = time.time() - 10
    for swapped in (False, True):
        name = f"a{swapped}"
        events = [
            _event(name, "s"), _event(name, "other"), _event(f"{name}~{source_hash('other')}", "s"),
        ]  # fmt: skip
        if swapped:
            events.reverse()
        effects = [
            _event(f"{name}{n}", extensions={"causationid": event.id})
            for n, event in enumerate(events)
        ]
        batch = [
            Received(event, "S", n, now + n / 1000) for n, event in enumerate([*events, *effects])
        ]
        async with _cache(servers) as (client, cache):
            # A cause is sought under its id, where the first event is that took the place.
            causes = [events[0], events[1], events[1]] if swapped else [
                events[0], events[0], events[1]
            ]  # fmt: skip
            expected = [_text(received.time) for received in batch[:3]]
            expected += [
                _text(received.time, [cause])
                for received, cause in zip(batch[3:], causes, strict=True)
            ]
            assert [
                text for received in batch for text in await _read(cache, received, routes=True)
            ] == expected
            assert await _read(cache, *batch) == expected
            assert await _read(cache, *batch, routes=True) == expected
            await client.flushdb()
            assert await _read(cache, *batch, routes=True) == expected


async def test_what_unreleased_versions_have_stored_is_read_and_kept_in_fewer_bytes(
    servers: tuple[str, str],
) -> None:
    now = time.time() - 10
    event = _event("a", time=CREATED)
    position = f"S 1 {round(now * 1e6) // 1000}"
    fields = [_item(event).decode(), "", "", position, "=", "then", "0.9", "", '{"id":"y"}']
    text = (
        b'{"processed_at":"then","gateway_version":"0.9","correlation_chain":[],'
        b'"related_events":[{"id":"y"}]}'
    )
    received, key = Received(event, "S", 1, now), EVENT.key("a")
    async with _cache(servers) as (client, cache):
        # Also beside the fields of version 1.0.
        formers: list[dict[str, str]] = [
            {}, {"source": "s", "item": "{}", "correlation": "", "causation": ""},
        ]  # fmt: skip
        for former in formers:
            await client.hset(key, "known", "\n".join(fields))
            for field, value in former.items():
                await client.hset(key, field, value)
            assert await _read(cache, received) == [text]
            assert await client.hexists(key, "known"), "nothing has changed"
            (context,) = await cache.remember([Received(event, "S", 2, now + 1)], routes=True)
            assert context == type(context)(text, ("S", 1))
            effect = _event(f"b{len(former)}", extensions={"causationid": "a"})
            assert await _read(cache, Received(effect, "S", 3, now + 2), routes=True) == [
                _text(now + 2, [event])
            ]
            # After the window it is another event: the place changes, and the form with it.
            await _read(cache, Received(event, "S", 4, now + 500), routes=True)
            assert set(await client.hkeys(key)) == {b"e", *(name.encode() for name in former)}
            assert await _read(cache, received) == [text]
            (context,) = await cache.remember([Received(event, "S", 5, now + 501)], routes=True)
            assert context.duplicate_of == ("S", 4)
            await client.delete(key)
        # One that was remembered without an enrichment gets it.
        await client.hset(key, "known", "\n".join(fields[:4]))
        assert await _read(cache, received) == [_text(now)]
        assert await client.hkeys(key) == [b"e"]
        # A process of such a version beside this one does not see the new form, and writes its own.
        await client.hset(key, "known", "\n".join(fields))
        assert await _read(cache, received) == [_text(now)]


async def test_the_time_of_an_enrichment_that_is_not_that_of_the_first_position(
    servers: tuple[str, str],
) -> None:
    """A subscriber of another stream reads it before the router does; times between milliseconds
    are cut in one place and rounded in another."""
    now = float(int(time.time()) - 1000)
    for n, fraction in enumerate([0.0, 0.5, 0.001, 0.2509995, 0.9999996, 0.0004999, 0.0009999]):
        event, at = _event(f"f{n}", time=CREATED), now + fraction
        first = Received(event, "T", 7, at)
        async with _cache(servers) as (_, cache), _cache(servers, "2") as (_, later):
            assert await _read(cache, first) == [_text(at)]
            routed = Received(event, "S", 1, at + 0.003)
            assert await _read(later, routed, routes=True) == [_text(at)]
            for _ in range(2):
                assert await _read(later, first, routed) == [_text(at), _text(at)]
            # Its place is another one after the window, and the text is still of the first reading.
            await _read(later, Received(event, "S", 2, at + 500), routes=True)
            assert await _read(later, first, routed) == [_text(at), _text(at)]


async def test_the_time_as_text_is_that_of_the_gateway(servers: tuple[str, str]) -> None:
    chance = random.Random(1)
    times = [0, 999, 1000, round(LATEST * 1000), 951_782_399_999, 951_782_400_000]
    times += [day * 86_400_000 + offset for day in range(0, 60_000, 7) for offset in (-1, 0, 1000)][
        1:
    ]
    times += [chance.randrange(round(LATEST * 1000)) for _ in range(20_000)]
    timestamp = dict(parts("events/remember.lua"))["shared/timestamp.lua"]
    async with _cache(servers) as (client, _):
        texts = await client.eval(
            f"{timestamp}\nlocal out = {{}}\n"
            "for n, ms in ipairs(cmsgpack.unpack(ARGV[1])) do out[n] = iso8601(ms) end\nreturn out",
            0, msgspec.msgpack.encode(times),
        )  # fmt: skip
    assert texts == [rfc3339_of_ms(ms).encode() for ms in times]


async def test_an_event_takes_few_bytes(servers: tuple[str, str]) -> None:
    """As the benchmarks have them: 288 bytes before decision 116."""
    name = "00000000-0000-4000-8000-000000000000"
    event = _event(name, "/bench", type="bench.dead", time=CREATED)
    async with _cache(servers, "1.0.0") as (client, cache):
        received = Received(event, "GATEWAY_EVENTS", 12345, time.time())
        await _read(cache, received, routes=True)
        size = await client.memory_usage(EVENT.key(name))
        assert size is not None
        assert size <= 176
