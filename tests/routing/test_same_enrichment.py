"""Enrichment is fixed once: all who get an event get the same bytes of it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis.asyncio

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.routing.index import Index
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.event_cache import KEPT, EventCache
from event_gateway.state.event_index import EventIndex
from event_gateway.state.keys import ENRICHMENT, EVENT, LATEST_OF_SUBJECT, RESET
from support.client import Client, Socket, connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.receiver import Receiver

pytestmark = pytest.mark.shared

STREAMS = {"streams": {"opened": {"subjects": ["user.opened"]}}}
_frame = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def _live(socket: Socket, count: int) -> list[bytes]:
    """The events of the next frames that hold one, as their bytes."""
    out: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while len(out) < count:
            frame = _frame.decode(await socket.connection.recv())
            if "event" in frame:
                out.append(bytes(frame["event"]))
    return out


async def _caught_up(client: Client, count: int) -> list[bytes]:
    """The first events of the stream, read from its beginning over Server-Sent Events."""
    out: list[bytes] = []
    path = "/v1/streams/opened/sse"
    async with client.http.stream("GET", path, params={"from": "first"}) as answer:
        async with asyncio.timeout(PATIENCE):
            async for line in answer.aiter_lines():
                if line.startswith("data:") and '"specversion"' in line:
                    out.append(line.removeprefix("data:").strip().encode())
                    if len(out) == count:
                        break
    return out


async def _replayed(client: Client, webhook: str) -> None:
    answer = await client.http.post("/v1/replays", json={"webhook": webhook, "from_seq": 1})
    assert answer.status_code in (201, 202), answer.text
    async with asyncio.timeout(PATIENCE):
        while answer.json()["state"] == "running":
            await asyncio.sleep(0.02)
            answer = await client.http.get(f"/v1/replays/{answer.json()['id']}")
    assert answer.json()["state"] == "done", answer.text


async def test_all_who_get_an_event_get_the_same_bytes(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """Two processes; an event, and a plain object, which has its id and time from the log."""
    receiver.answers["/w"] = [500, 500, 200]
    first, other = await peers.start(stack, STREAMS, STREAMS)
    policy = {"initial_delay": "100ms", "backoff": "fixed"}
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.opened"],
                      retry_policy=policy)  # fmt: skip
    await first.webhook(id="o", url=f"{receiver.url}/o", events=["user.opened"], ordered=True)
    await first.webhook(id="b", url=f"{receiver.url}/began", events=["user.began"])
    live = [await stack.enter_async_context(client.websocket()) for client in (first, other)]
    for socket in live:
        await socket.request(action="subscribe", stream="opened")
    by_subject = await stack.enter_async_context(other.websocket())
    await by_subject.request(action="subscribe", subjects=["user.opened"])
    causes = [event("user.began", {"n": n}, subject="user/1") for n in range(3)]
    sent = event("user.opened", {"n": 1.50}, subject="user/1", causationid=causes[0]["id"])
    await first.send(causes)
    await receiver.until(3, "/began")
    await first.send(sent)
    await receiver.until(1, "/w")
    await first.nats.jetstream().publish("user.opened", b'{"plain": 1}')
    await receiver.until(4, "/w")
    await receiver.until(2, "/o")
    bodies = {request.json["id"]: request.body for request in receiver.requests_to("/o")}
    opened, plain = bodies[sent["id"]], next(v for k, v in bodies.items() if k != sent["id"])
    enrichment = json.loads(opened)["data"]["enrichment"]
    assert [item["id"] for item in enrichment["correlation_chain"]] == [causes[0]["id"]]
    assert [item["id"] for item in enrichment["related_events"]] == [
        item["id"] for item in reversed(causes)
    ]
    for socket in (*live, by_subject):
        assert await _live(socket, 2) == [opened, plain]
    # More related events than the cache remembers of a subject.
    await other.send([event("user.began", {"n": n}, subject="user/1") for n in range(40)])
    for client in (first, other):
        assert await _caught_up(client, 2) == [opened, plain]
    answer = await first.http.post(f"/v1/deliveries/w/{sent['id']}/retry")
    assert answer.status_code == 202, answer.text
    await receiver.until(5, "/w")
    # A replay leaves out what has not ended.
    await first.until("w", sent["id"], "succeeded")
    await _replayed(other, "w")
    await receiver.until(7, "/w")
    shown = await first.http.post("/v1/transformations/preview",
                                json={"webhook": "w", "event": sent})  # fmt: skip
    assert shown.json()["body"] == json.loads(opened)
    await peers.programs[1].stop()
    endpoints = await peers.programs[1].start()
    again = await stack.enter_async_context(
        connected(endpoints["http"], peers.servers[0], endpoints["key"])
    )
    assert await _caught_up(again, 2) == [opened, plain]
    assert {request.body for request in receiver.requests_to("/w")} == {opened, plain}


def _received(event: Event, seq: int, at: float, stream: str = "S") -> Received:
    return Received(event, stream, seq, at)


@contextlib.asynccontextmanager
async def _caching(servers: tuple[str, str]) -> AsyncIterator[tuple[redis.asyncio.Redis, Any]]:
    client = await connect_redis(servers[1])

    async def enrich(*batch: Received, version: str = "1", routes: bool = True) -> list[bytes]:
        cache = EventCache(client, version, ("DEAD",), index=EventIndex(client, 60.0, {}))
        await Enricher(cache, version).enrich(batch, routes=routes)
        return [received.enriched.data for received in batch if received.enriched is not None]

    try:
        yield client, enrich
    finally:
        await client.aclose()


def _event(name: str, source: str = "s", subject: str | None = "x", **rest: Any) -> Event:
    return Event(name, source, "t", subject, data=b"{}", kind=DataKind.JSON, **rest)


async def test_which_event_an_enrichment_is_of(servers: tuple[str, str]) -> None:
    """It is of a source and id at a position; whoever comes first makes it."""
    now = time.time()
    async with _caching(servers) as (client, enrich):
        async with asyncio.TaskGroup() as tasks:  # side by side, with others before them
            readers = [
                tasks.create_task(
                    enrich(*(_received(_event(f"b{i}-{n}"), n, now) for n in range(i)),
                           _received(_event("a"), 100, now + 1), version=str(i))
                )
                for i in range(8)
            ]  # fmt: skip
        (first,) = {task.result()[-1] for task in readers}
        # After an upgrade, from a copy at another time, from a dead letter, published again.
        for received in (
            _received(_event("a"), 100, now + 1), _received(_event("a"), 100, now - 900),
            _received(_event("a"), 7, now, "DEAD"), _received(_event("a"), 101, now + 60),
        ):  # fmt: skip
            assert await enrich(received, version="9", routes=False) == [first]
        # The same source and id for another event: both keep theirs, in one batch, too.
        (second,) = await enrich(_received(_event("a"), 200, now + 500))
        assert second != first
        assert await enrich(_received(_event("a"), 200, now + 501), version="9") == [second]
        assert await enrich(_received(_event("a"), 100, now + 1), version="9") == [first]
        both = [_received(_event("twice"), n, now + 500 * n) for n in (1, 2)]
        texts = await enrich(*both)
        assert texts[0] != texts[1]
        assert await enrich(*both, version="9") == texts
        # Other sources with this id, and attributes that are too long to remember.
        for event_ in (_event("a", "s2"), _event("a", "s3"), _event("long", subject="x" * 5000)):
            made = await enrich(_received(event_, 300, now))
            assert made[0] != first
            assert await enrich(_received(event_, 300, now), version="9") == made
        # The stream has gone back: what was at that place is not what is there now.
        assert await enrich(_received(event_, 300, now + 500), version="9") == made
        await client.hset(RESET.key(), "S", round((now + 200) * 1000))
        later = await enrich(_received(event_, 300, now + 500), version="9")
        assert later != made
        assert await enrich(_received(event_, 300, now + 500), version="8") == later
        await client.delete(RESET.key())
        # However long the attributes are, an enrichment takes at most 16 KiB and a bit.
        names = [f"{n}{'y' * 1500}" for n in range(20)]
        chain = [
            _received(
                _event(name, subject="long", extensions={"causationid": names[n - 1]}), n, now
            )
            for n, name in enumerate(names)
        ]
        longest = (await enrich(*chain))[-1]
        assert 12_000 < len(longest) < 17_000
        last = json.loads(longest)["enrichment"]["correlation_chain"][-1]
        assert last["id"] == names[-2], "the nearest are left"
        keys = [key.decode() async for key in client.scan_iter("*")]
        assert {ENRICHMENT.key("S", "200"), ENRICHMENT.key("S", "300")} <= set(keys)
        assert all([await client.pttl(key) > 0 for key in keys if key != "indexed_from"])


async def test_how_long_it_is_kept(servers: tuple[str, str]) -> None:
    now = time.time()
    async with _caching(servers) as (client, enrich):
        received = _received(_event("a"), 1, now - 7200)
        (first,) = await enrich(received)
        assert await client.pttl(EVENT.key("a")) <= KEPT * 1000
        # If it is read an hour after the event, or later, it is kept for longer.
        assert await enrich(received, routes=False) == [first]
        assert KEPT * 1000 < await client.pttl(EVENT.key("a")) <= 2 * KEPT * 1000
        # An event that is older than what is kept, and is not in the cache: nothing is written.
        for name, at in (("old", now - KEPT - 60), ("dead", now)):
            stream = "DEAD" if name == "dead" else "S"
            late = [
                await enrich(_received(_event(name), 5, at, stream), routes=False) for _ in range(2)
            ]
            assert late[0] == late[1]
            enrichment = json.loads(late[0][0])["enrichment"]
            assert enrichment["incomplete"] is True
            assert enrichment["correlation_chain"] == enrichment["related_events"] == []
            assert not await client.exists(EVENT.key(name))
        # The router has it as the first, however long it has been behind.
        (routed,) = await enrich(_received(_event("old"), 5, now - KEPT - 60))
        assert "incomplete" not in json.loads(routed)["enrichment"]


async def test_live_subscribers_leave_the_first_reading_to_the_router(
    servers: tuple[str, str],
) -> None:
    now = time.time()
    async with _caching(servers) as (client, enrich):
        live = Enricher(EventCache(client, "live", index=EventIndex(client, 60.0, {})), "live")
        batch = [_received(_event("before"), 1, now), _received(_event("a"), 2, now + 0.001)]
        seen = _received(_event("a"), 2, now + 0.002)
        reading = asyncio.create_task(live.enrich_live([seen]))
        await asyncio.sleep(0)
        routed = await enrich(*batch)
        await reading
        assert seen.enriched is not None
        assert seen.enriched.data == routed[1]
        # A router that is behind is not waited for.
        alone = _received(_event("alone"), 3, now)
        async with asyncio.timeout(PATIENCE):
            await live.enrich_live([alone])
        assert alone.enriched is not None
        assert await enrich(_received(_event("alone"), 3, now)) == [alone.enriched.data]


async def test_the_router_wakes_who_waits_for_it_in_its_process(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("event_gateway.pipeline.enrichment.HEAD_START", (10 * PATIENCE,) * 2)
    later = time.time() + 10 * PATIENCE  # the router is not behind
    async with _caching(servers) as (client, _):
        enricher = Enricher(EventCache(client, "1", index=EventIndex(client, 60.0, {})), "1")
        routed, seen = (_received(_event("a"), 1, later) for _ in range(2))
        async with asyncio.timeout(PATIENCE):
            reading = asyncio.create_task(enricher.enrich([seen]))
            while enricher._routed is None:
                await asyncio.sleep(0.001)
            await enricher.enrich([routed], routes=True)
            await reading
        assert seen.enriched is not None
        assert routed.enriched is not None
        assert seen.enriched.data == routed.enriched.data


async def test_what_version_1_0_has_stored_is_read(servers: tuple[str, str]) -> None:
    """It stored a hash for each event, and sorted sets of related ones, which are forgotten."""
    now = time.time() - 10  # the router is not waited for
    item = {"id": "a", "source": "s", "type": "t", "time": None}
    text = (
        '{"processed_at":"then","gateway_version":"1.0.0","correlation_chain":[{"id":"x"}],'
        '"related_events":[{"id":"y"},{"id":"z"}]}'
    )
    position = f"S 1 {round(now * 1000)}"
    async with _caching(servers) as (client, enrich):
        fields: list[Any] = [
            "source", "s", "item", msgspec.json.encode(item), "correlation", "", "causation", "",
            "first", position, "enrichment", f"{position} {text}",
        ]  # fmt: skip
        await client.hset(EVENT.key("a"), items=fields)
        await client.zadd("related:subject:x", {msgspec.json.encode(item): now * 1e6})
        expected = [f'{{"enrichment":{text}}}'.encode()]
        # For a retry, which keeps it in the present form, and again.
        assert await enrich(_received(_event("a"), 1, now), routes=False) == expected
        await client.hdel(EVENT.key("a"), *fields[::2])
        assert await enrich(_received(_event("a"), 1, now), routes=False) == expected
        (other,) = await enrich(_received(_event("a", "other"), 2, now))
        assert json.loads(other)["enrichment"]["related_events"] == []


async def test_related_events_of_a_burst_and_of_events_that_come_late(
    servers: tuple[str, str],
) -> None:
    """A batch of one subject has more events than are kept; another one comes after later ones."""
    now = time.time()

    async def related(*batch: Received) -> list[list[str]]:
        texts = [json.loads(data)["enrichment"] for data in await enrich(*batch)]
        return [[item["id"] for item in text["related_events"]] for text in texts]

    def names(*numbers: int) -> list[str]:
        return [f"e{number}" for number in numbers]

    async with _caching(servers) as (_, enrich):
        burst = [_received(_event(f"e{n}"), n, now + n) for n in range(100)]
        assert await related(*burst) == [
            names(*range(n - 1, max(-1, n - 11), -1)) for n in range(100)
        ]
        # Events that two routers have taken: those of the other one were later.
        late = [_received(_event(f"late{n}"), 200 + n, now + n + 0.5) for n in (80, 90, 98)]
        assert await related(*late) == [
            names(*range(80, 70, -1)), [*names(*range(90, 80, -1))],
            [*names(*range(98, 90, -1)), "late90", "e90"],
        ]  # fmt: skip
        for n in range(100, 140):  # one by one, beyond what is appended
            (found,) = await related(_received(_event(f"e{n}"), n, now + n))
            assert found[0] == ("e99" if n == 100 else f"e{n - 1}")
            assert len(set(found)) == 10
        # So late that all that are kept are later.
        assert await related(_received(_event("last"), 300, now + 1)) == [[]]
        # The same event is remembered once.
        twice = [_received(_event("again"), 400 + n, now + 500) for n in range(2)]
        assert await related(*twice, _received(_event("then"), 402, now + 501)) == [
            names(*range(139, 129, -1)), names(*range(139, 129, -1)),
            ["again", *names(*range(139, 130, -1))],
        ]  # fmt: skip


async def test_an_event_twice_in_a_batch_with_a_former_one_of_its_subject(
    servers: tuple[str, str],
) -> None:
    """The list is read for the former event, before it is written for the others, also as a new
    version."""
    now = time.time() - 10
    async with _caching(servers) as (_, enrich):
        former = _received(_event("e1"), 1, now + 1)
        first = await enrich(_received(_event("e0"), 0, now), former)
        for count in (1, 80):
            new = [_received(_event(f"{count}-{n}"), 2 + n, now + count + n) for n in range(count)]
            texts = await enrich(former, *new, *new)
            assert texts[0] == first[1]
            assert texts[1 : count + 1] == texts[count + 1 :]
            assert json.loads(texts[-1])["enrichment"]["related_events"] != []


async def test_an_event_whose_source_and_id_another_one_without_enrichment_has(
    servers: tuple[str, str],
) -> None:
    now = time.time() - 10
    async with _caching(servers) as (_, enrich):
        without = Event("a", "s", "picture", "x", data=b"1", kind=DataKind.BINARY)
        await enrich(_received(_event("before"), 1, now), _received(without, 2, now + 1))
        event_ = _received(_event("a"), 3, now + 2)
        (first,) = await enrich(event_)
        related = json.loads(first)["enrichment"]["related_events"]
        assert [(item["id"], item["type"]) for item in related] == [
            ("a", "picture"), ("before", "t"),
        ]  # fmt: skip
        await enrich(_received(_event("between"), 4, now + 1.5))
        for _ in range(2):
            assert await enrich(event_, routes=False) == [first]


async def test_who_reads_much_later_gets_what_was_related_then(servers: tuple[str, str]) -> None:
    """Nobody wanted the events when they were routed, and many of the subject came since. The first
    reading of an event an hour later keeps its text, which outlives what it was made of."""
    now = time.time() - 7200

    def batch(first: int) -> list[Received]:
        return [
            _received(
                _event(f"e{n}", extensions={"correlationid": f"c{n % 2}"} if n % 3 else {}),
                n, now + n,
            )
            for n in range(first, first + 20)
        ]  # fmt: skip

    def expected(n: int) -> list[str]:
        return [f"e{earlier}" for earlier in range(n - 1, max(-1, n - 11), -1)]

    async with _caching(servers) as (client, enrich):
        cache = EventCache(client, "1", index=EventIndex(client, 60.0, {}))
        for first in range(0, 200, 20):
            events = batch(first)
            for received in events:
                received.unwanted = True
            contexts = await cache.remember(events, routes=True)
            assert not any(context.enrichment for context in contexts)
        events = [received for first in range(0, 200, 20) for received in batch(first)]
        texts = await enrich(*events, routes=False)
        related = [json.loads(text)["enrichment"]["related_events"] for text in texts]
        assert [[item["id"] for item in items] for items in related] == [
            expected(n) for n in range(200)
        ]
        lists = [key async for key in client.scan_iter("related:*:latest")]
        assert len(lists) > 3, "former versions have names of their own"
        assert all([await client.pttl(key) > KEPT * 1000 for key in lists])
        await client.delete(*lists)
        assert await enrich(*events, routes=False, version="9") == texts


async def test_events_whose_lists_are_lost_have_nothing_related(servers: tuple[str, str]) -> None:
    now = time.time() - 10
    async with _caching(servers) as (client, enrich):
        events = [_received(_event(f"e{n}"), n, now + n) for n in range(3)]
        texts = await enrich(*events)
        await client.delete(LATEST_OF_SUBJECT.key("x"))
        again = await enrich(*events, routes=False)
        assert json.loads(texts[2])["enrichment"]["related_events"] != []
        for text in again:
            enrichment = json.loads(text)["enrichment"]
            assert enrichment["related_events"] == []
            assert "incomplete" not in enrichment


async def test_a_webhook_that_begins_to_match_while_events_are_enriched(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])

    def note_all(_: Index, batch: list[Received]) -> None:
        for received in batch:
            received.unwanted = True

    monkeypatch.setattr(Index, "note_unwanted", note_all)
    sent = [event("user.a", subject="user/1") for _ in range(3)]
    await client.send(sent)
    got = {came.json["id"]: came.json["data"] for came in await receiver.until(3)}
    related = [item["id"] for item in got[sent[2]["id"]]["enrichment"]["related_events"]]
    assert related == [sent[1]["id"], sent[0]["id"]]
