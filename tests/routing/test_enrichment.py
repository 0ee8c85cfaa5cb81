"""Enrichment: the correlation chain of an event, and related events."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from event_gateway import __version__
from event_gateway.core.cloudevents.enrichment import splice
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.event_cache import MAX_CHAIN, MAX_RELATED, EventCache
from event_gateway.state.event_index import EventIndex
from support.client import Client, event
from support.fixtures import Start
from support.program import server_pids
from support.receiver import Receiver
from support.stopping import stop_process

pytestmark = pytest.mark.shared


def _item(sent: dict[str, str]) -> dict[str, str]:
    return {name: sent[name] for name in ("id", "source", "type", "time")}


async def test_a_chain_of_three(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*", "audit.>", "billing.*"])
    root = event("user.signedup", subject="user/7", time="2026-05-04T03:02:01.000000001+02:00")
    middle = event("billing.opened", causationid=root["id"], source="billing", subject="user/7")
    leaf = event("audit.events.opened", causationid=middle["id"], subject="user/7")
    for sent in (root, middle, leaf):
        await client.send(sent)
    await receiver.until(3)
    by_id = {
        request.json["id"]: request.json["data"]["enrichment"] for request in receiver.requests
    }
    assert by_id[root["id"]]["correlation_chain"] == []
    assert by_id[middle["id"]]["correlation_chain"] == [_item(root)]
    last = by_id[leaf["id"]]
    assert last["correlation_chain"] == [_item(root), _item(middle)]
    assert last["related_events"] == [_item(middle), _item(root)]
    assert last["gateway_version"] == __version__
    assert last["processed_at"].endswith("Z")
    assert "incomplete" not in last


async def test_correlation_and_its_bounds(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    start = event("user.a")
    await client.send(start)
    sent = [event("user.b", correlationid=start["id"]) for _ in range(15)]
    await client.send(sent)
    result = {
        request.json["id"]: request.json["data"]["enrichment"]
        for request in await receiver.until(16)
    }
    last = result[sent[-1]["id"]]
    assert last["correlation_chain"] == [_item(start)]
    assert last["related_events"] == [_item(item) for item in sent[-2:-12:-1]]

    chain = [event("user.c")]
    for _ in range(40):
        chain.append(event("user.c", causationid=chain[-1]["id"]))
    await client.send(chain)
    result = {
        request.json["id"]: request.json["data"]["enrichment"]
        for request in await receiver.until(57)
    }
    assert result[chain[-1]["id"]]["correlation_chain"] == [_item(item) for item in chain[-33:-1]]


async def test_a_circular_chain_ends_and_other_data_is_unchanged(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    first, other = (
        event("user.a", id="x", causationid="y"),
        event("user.a", id="y", causationid="x"),
    )
    await client.send([first, other])
    result = {g.json["id"]: g.json["data"]["enrichment"] for g in await receiver.until(2)}
    assert result["x"]["correlation_chain"] == [_item(other)]
    assert result["y"]["correlation_chain"] == [_item(first)]

    await client.send(event("user.list", [1, 2]))
    assert (await receiver.until(3))[2].json["data"] == [1, 2]
    await client.send(event("user.text", "hi", datacontenttype="text/plain"))
    assert (await receiver.until(4))[3].json["data"] == "hi"
    spoofed = event("user.mine", {"a": 1, "enrichment": {"processed_at": "never"}})
    await client.send(spoofed)
    data = (await receiver.until(5))[4].json["data"]
    assert data["a"] == 1
    assert data["enrichment"]["processed_at"] != "never"


async def test_a_webhook_can_turn_enrichment_off(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], enrich=False)
    sent = event("user.a", {"a": [1.50, "é\u2028"]})
    await client.send(sent)
    assert (await receiver.until(1))[0].json == sent


async def test_subscribers_get_enrichment_and_a_missing_redis_is_shown(
    start: Start, connect: Start, tmp_path: Path, receiver: Receiver
) -> None:
    """Only to subscribers: a webhook gets its events once Redis is back."""
    client = await connect(await start({"streams": {"live": {"subjects": ["user.*"]}}}))
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.b"])
    root = event("user.a", subject="user/1")
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="live")
        await client.send(root)
        first = (await socket.next())["event"]["data"]["enrichment"]
        assert "incomplete" not in first
        pid = server_pids(tmp_path / "data")["valkey"]
        stop_process(pid)
        try:
            await client.send(event("user.b", {"n": 1}, causationid=root["id"], subject="user/1"))
            data = (await socket.next())["event"]["data"]
            assert not receiver.requests
        finally:
            os.kill(pid, signal.SIGCONT)
    (request,) = await receiver.until(1)
    assert request.json["data"]["enrichment"]["correlation_chain"] == [_item(root)]
    assert "incomplete" not in request.json["data"]["enrichment"]
    assert data["n"] == 1
    assert data["enrichment"].pop("processed_at")
    assert data["enrichment"] == {
        "gateway_version": __version__, "correlation_chain": [], "related_events": [],
        "incomplete": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{}", b'{"enrichment":1}'), (b' { "a" : 1 } ', b'{ "a" : 1,"enrichment":1}'),
        (b'{"enrichment":{"x":2},"a":1.50}', b'{"enrichment":1,"a":1.50}'),
        (b'{"\\u0065nrichment":2}', b'{"enrichment":1}'), (b"[]", None), (b'"x"', None),
        (b'{"a":"enrichment"}', b'{"a":"enrichment","enrichment":1}'),
        (b'{"a":{"enrichment":3}}', b'{"a":{"enrichment":3},"enrichment":1}'),
    ],
)  # fmt: skip
def test_the_form_of_the_enrichment(data: bytes, expected: bytes | None) -> None:
    assert splice(data, b"1") == expected


def _chain(events: list[Event], effect: Event) -> list[str]:
    """The correlation chain that is expected of an event, root first."""
    known = {event.id: event for event in events}
    chain: list[str] = []
    at = effect
    while len(chain) < MAX_CHAIN:
        parent = at.extensions.get("causationid") or at.extensions.get("correlationid")
        if parent not in known or parent == effect.id or parent in chain:
            break
        chain.append(str(parent))
        at = known[str(parent)]
    return chain[::-1]


def _related(events: list[Event], number: int) -> list[str]:
    first = events[number]
    return [
        other.id
        for other in reversed(events[:number])
        if (first.subject and other.subject == first.subject)
        or (
            first.extensions.get("correlationid")
            and other.extensions.get("correlationid") == first.extensions.get("correlationid")
        )
    ][:MAX_RELATED]


@pytest.mark.parametrize("seed", range(8))
async def test_any_graph_of_causes(servers: tuple[str, str], seed: int) -> None:
    """Circular chains, long chains and unknown causes in one batch, compared with a model."""
    chance = random.Random(seed)
    count = chance.choice([3, 12, 60])
    ids = [f"e{n}" for n in range(count)]
    events = []
    for name in ids:
        extensions: dict[str, Any] = {}
        if chance.random() < 0.8:
            extensions["causationid"] = chance.choice([*ids, "unknown"])
        if chance.random() < 0.6:
            extensions["correlationid"] = chance.choice(ids)
        subject = chance.choice([None, "a", "b"])
        events.append(Event(name, "s", "t", subject, extensions=extensions, data=b"{}",
                            kind=DataKind.JSON))  # fmt: skip
    client = await connect_redis(servers[1])
    try:
        # From several streams: the time decides.
        batch = [
            Received(event, f"S{n % 2}", 100 - n, 1000.0 + n) for n, event in enumerate(events)
        ]
        await Enricher(EventCache(client, "1", index=EventIndex(client, 60.0, {})), "1").enrich(
            batch, routes=True
        )
        for number, received in enumerate(batch):
            assert received.enriched is not None
            result = json.loads(received.enriched.data)["enrichment"]
            chain = [item["id"] for item in result["correlation_chain"]]
            assert chain == _chain(events, events[number])
            related = [item["id"] for item in result["related_events"]]
            assert related == _related(events, number)
    finally:
        await client.aclose()


async def test_a_batch_is_one_round_trip(servers: tuple[str, str]) -> None:
    client = await connect_redis(servers[1])
    try:
        cache = EventCache(client, "1", index=EventIndex(client, 60.0, {}))
        events = [Event(f"e{n}", "s", "t", "x", data=b"{}", kind=DataKind.JSON) for n in range(200)]
        batch = [Received(event, "S", n, 1000.0 + n) for n, event in enumerate(events)]
        await cache.remember(batch[:1], routes=True)  # the server knows the script from here on
        await client.config_resetstat()
        await cache.remember(batch, routes=True)
        calls = {k: v["calls"] for k, v in (await client.info("commandstats")).items()}
        assert calls["cmdstat_evalsha"] == 1
        # All other commands were called by the script.
        assert set(calls) <= {"cmdstat_evalsha", "cmdstat_info", "cmdstat_config|resetstat",
                              "cmdstat_hmget", "cmdstat_mget", "cmdstat_hset", "cmdstat_set",
                              "cmdstat_append", "cmdstat_pexpire", "cmdstat_pexpireat",
                              "cmdstat_hexists", "cmdstat_rename"}  # fmt: skip
        # Each event is read and written once, and their subject too.
        assert calls["cmdstat_hmget"] == 200
        assert calls["cmdstat_mget"] == 1
        assert calls["cmdstat_hset"] <= 200
        assert calls["cmdstat_set"] <= 1
    finally:
        await client.aclose()
