"""What stands in the way of delivering again: order, deadlines, letters, other replays, sizes."""

import asyncio
import base64
import json
import os
from typing import Any

import nats
import pytest
import redis.asyncio
from nats.js.api import StreamConfig

from event_gateway.broker import stream_page
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver
from support.redis_values import hget

ONCE = {"max_attempts": 1}


async def _replay(client: Client, path: str = "/v1/replays", **wanted: Any) -> dict[str, Any]:
    answer = await client.http.post(path, json=wanted)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    async with asyncio.timeout(PATIENCE):
        while told["state"] == "running":
            await asyncio.sleep(0.05)
            told = (await client.http.get(f"/v1/replays/{told['id']}")).json()
    return told


async def test_nothing_overtakes_on_an_ordered_webhook(client: Client, receiver: Receiver) -> None:
    """What it has not come to yet is left to it."""
    receiver.answers["/w"] = [500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], ordered=True,
        retry_policy={"initial_delay": "1s"},
    )  # fmt: skip
    sent = [event("a", {"n": n}) for n in range(4)]
    await client.send(sent)
    await client.until("w", sent[0]["id"], "retrying")
    told = await _replay(client, webhook="w", from_seq=1)
    assert (told["matched"], told["queued"], told["skipped"]) == (4, 0, 4)
    got = await receiver.until(5, "/w")
    await asyncio.sleep(0.3)
    assert [one.json["data"]["n"] for one in got] == [0, 0, 1, 2, 3]


async def test_one_that_waits_holds_up_no_other(client: Client, receiver: Receiver) -> None:
    await client.send([event("a") for _ in range(100)])
    for start in range(12):
        await client.send([event("a", {"n": start}) for _ in range(100)])
    await client.webhook(id="paused", url=f"{receiver.url}/p", events=["a"], enabled=False)
    for _ in range(6):
        answer = await client.http.post("/v1/replays", json={"webhook": "paused", "from_seq": 1})
        assert answer.status_code == 202
        async with asyncio.timeout(PATIENCE):  # it is as far ahead as it may be
            while (await client.http.get("/v1/webhooks/paused/stats")).json()["queue_depth"] < 1024:
                await asyncio.sleep(0.05)
    await client.webhook(id="well", url=f"{receiver.url}/w", events=["a"])
    told = await _replay(client, webhook="well", from_seq=1)
    assert (told["state"], told["queued"]) == ("done", 1300)


async def test_answers_of_a_former_run_are_not_those_of_the_next(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "dead_letter")
    await client.http.post(f"/v1/deliveries/w/{one['id']}/retry")
    told = await client.until("w", one["id"], "succeeded")
    assert (told["run"], len(told["attempts"])) == (2, 1)
    assert told["attempts"][0].get("response") is None


async def test_a_letter_without_its_event_is_not_sent(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "pending")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(f"delivery:w:{one['id']}", "seq", 1_000_000)  # the log has dropped it
    await client.http.post("/v1/webhooks/w/enable")
    await client.until("w", one["id"], "dead_letter")
    for wanted in ({"all": True}, {"ids": [1]}):
        told = await _replay(client, "/v1/dead-letters/replay", **wanted)
        assert (told["matched"], told["queued"], told["skipped"]) == (1, 0, 1)
    assert (await client.http.post(f"/v1/deliveries/w/{one['id']}/retry")).status_code == 409
    assert receiver.got == []


async def test_what_the_router_refuses_is_not_replayed(client: Client, receiver: Receiver) -> None:
    forged = event("webhook.disabled", source="event-gateway")
    await client.nats.jetstream().publish("events.x", json.dumps(forged).encode())
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["webhook.>"])
    assert (await _replay(client, webhook="w", from_seq=1))["matched"] == 0


async def test_letters_of_a_former_webhook_are_not_for_its_heir(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "dead_letter")
    await client.http.delete("/v1/webhooks/w")
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/w")).status_code != 404:
            await asyncio.sleep(0.05)
    await client.webhook(id="w", url=f"{receiver.url}/heir", events=["b"])
    told = await _replay(client, "/v1/dead-letters/replay", all=True)
    assert (told["matched"], told["queued"]) == (1, 0)
    assert (await client.http.get("/v1/webhooks/w/deliveries")).json()["items"] == []
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["attempts"], stats["dead_lettered"]) == (0, 0)
    assert (await _replay(client, "/v1/dead-letters/replay", ids=[1]))["queued"] == 1
    await receiver.until(1, "/heir")


async def test_letters_that_are_needed_are_not_deleted(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    one = event("a", {"kept": "in the letter"})
    await client.send(one)
    await client.until("w", one["id"], "dead_letter")
    paused = await client.http.patch("/v1/webhooks/w", json={"enabled": False})
    assert paused.status_code == 200, paused.text
    assert (await _replay(client, "/v1/dead-letters/replay", all=True))["queued"] == 1
    await client.until("w", one["id"], "pending")
    for path in ("/1", "?all=true", "?webhook=w", "?type=a"):
        answer = await client.http.delete(f"/v1/dead-letters{path}")
        assert (answer.status_code, "being replayed" in answer.text) == (409, True), path
    receiver.answers["/w"] = [200]
    await client.http.post("/v1/webhooks/w/enable")
    await client.until("w", one["id"], "succeeded")
    answer = await client.http.delete("/v1/dead-letters", params={"all": "true"})
    assert answer.json()["purged"] == 1


async def test_one_whose_holder_has_died_may_be_cancelled(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "pending")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(f"delivery:w:{one['id']}", mapping={"status": "in_progress", "token": "x"})
    answer = await client.http.post(f"/v1/deliveries/w/{one['id']}/cancel")
    assert (answer.status_code, answer.json().get("status")) == (200, "cancelled")


async def test_the_second_source_of_an_id_outlives_the_first(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """Its record stays at its own key when the first one's expires."""
    receiver.answers["/w"] = [200, 500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"],
        retry_policy={"initial_delay": "1s", "backoff": "fixed"},
    )  # fmt: skip
    one = event("a")
    await client.send(one | {"source": "one"})
    await client.until("w", one["id"], "succeeded")
    await client.send(one | {"source": "two"})
    await receiver.until(2)
    await asyncio.sleep(0.2)
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.delete(f"delivery:w:{one['id']}")
    await receiver.until(3)
    async with asyncio.timeout(PATIENCE):
        while True:
            told = await client.delivery("w", one["id"], source="two")
            if told["status"] == "succeeded":
                break
            await asyncio.sleep(0.05)
    assert len(told["attempts"]) == 2
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert stats["queue_depth"] == 0


async def test_large_events_are_replayed(client: Client, receiver: Receiver) -> None:
    """More than the connection to NATS holds at once; none is left out."""
    data = base64.b64encode(os.urandom(600_000)).decode()
    sent = [event("a", {"n": n, "data": data}) for n in range(120)]
    for one in sent:
        await client.send(one)
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], enrich=False, transformation="standard"
    )
    told = await _replay(client, webhook="w", from_seq=1)
    assert (told["state"], told["looked_at"], told["queued"]) == ("done", 120, 120)
    await receiver.until(120, "/w")
    assert {one.json["id"] for one in receiver.got} == {one["id"] for one in sent}


async def test_a_letter_larger_than_a_message_is_packed(client: Client, receiver: Receiver) -> None:
    """In JSON an event may be six times as large as it came."""
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    headers = {"ce-specversion": "1.0", "ce-id": "large", "ce-source": "s", "ce-type": "a",
               "content-type": "text/plain"}  # fmt: skip
    await client.nats.jetstream().publish("events.a", b"\x01" * 3_000_000, headers=headers)
    await client.until("w", "large", "dead_letter")
    shown = (await client.http.get("/v1/dead-letters/1")).json()
    assert shown["event"]["data"] == "\x01" * 3_000_000
    receiver.answers["/w"] = [200]
    assert (await _replay(client, "/v1/dead-letters/replay", ids=[1]))["queued"] == 1
    await client.until("w", "large", "succeeded")


@pytest.mark.parametrize("max_age", [0, 3600])
async def test_a_foreign_stream_has_its_own_retention(
    servers: tuple[str, str], start: Start, connect: Start, receiver: Receiver, max_age: int
) -> None:
    """What is replayed from it ends before that stream drops it, not before the log would."""
    nats_url, redis_url = servers
    bus = await nats.connect(nats_url)
    await bus.jetstream().add_stream(StreamConfig("THEIRS", subjects=["theirs.>"], max_age=max_age))
    one = event("theirs.a")
    await bus.jetstream().publish("theirs.a", json.dumps(one).encode())
    await bus.close()
    client = await connect(
        await start({
            "nats": {"url": nats_url}, "redis": {"url": redis_url},
            "ingest": {"streams": ["THEIRS"], "retention": "1m"},
        })
    )  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["theirs.>"])
    told = await _replay(client, webhook="w", stream="THEIRS", from_seq=1)
    assert told["queued"] == 1
    await client.until("w", one["id"], "succeeded")
    async with redis.asyncio.from_url(redis_url) as store:
        latest = float(await hget(store, f"delivery:w:{one['id']}", "latest")) / 1000
        at = float(await hget(store, f"delivery:w:{one['id']}", "event_at")) / 1000
    assert latest - at > (3000 if max_age else 1e9)


async def test_a_part_that_did_not_come_is_not_the_end(
    gateway: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads on would take what is behind for done: it has to ask again."""
    broker = gateway.gateway.stages.adapters.broker
    await client.send([event("a") for _ in range(5)])
    add, js = broker.js.add_consumer, client.nats.jetstream()

    async def add_and_lose(*about: Any, **more: Any) -> Any:
        made = await add(*about, **more)
        await js.purge_stream("GATEWAY_EVENTS")  # as where they are lost on the way
        return made

    monkeypatch.setattr(stream_page, "RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(broker.js, "add_consumer", add_and_lose)
    with pytest.raises(TimeoutError):
        await stream_page.read_page(broker, "GATEWAY_EVENTS")
    monkeypatch.setattr(broker.js, "add_consumer", add)
    assert await stream_page.read_page(broker, "GATEWAY_EVENTS") == stream_page.Page([], 0)
