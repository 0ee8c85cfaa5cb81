"""The limits of retries and replays: order, deadlines, dead letters, other replays, sizes."""

import asyncio
import base64
import json
import os
from typing import Any

import pytest
import redis.asyncio
from nats.js.api import StreamConfig

from event_gateway.broker import stream_page
from event_gateway.cli.process.serve import Running
from support.bus import connect_bus
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver
from support.redis_values import hget

ONCE = {"max_attempts": 1}


async def _replay(client: Client, path: str = "/v1/replays", **expected: Any) -> dict[str, Any]:
    answer = await client.http.post(path, json=expected)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    async with asyncio.timeout(PATIENCE):
        while body["state"] == "running":
            await asyncio.sleep(0.05)
            body = (await client.http.get(f"/v1/replays/{body['id']}")).json()
    return body


async def test_a_retry_does_not_overtake_on_an_ordered_webhook(
    client: Client, receiver: Receiver
) -> None:
    """Events that the ordered webhook has not reached yet are left to it."""
    receiver.answers["/w"] = [500, 200]
    first, second = asyncio.Event(), asyncio.Event()
    receiver.holds["/w"] = first
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], ordered=True, timeout="2m",
        retry_policy={"initial_delay": "1s"},
    )  # fmt: skip
    sent = [event("a", {"n": n}) for n in range(4)]
    await client.send(sent)
    await receiver.until(1, "/w")
    receiver.holds["/w"] = second  # the retry waits until the replay has ended
    first.set()
    async with asyncio.timeout(PATIENCE):
        path = f"/v1/deliveries/w/{sent[0]['id']}"
        while not (await client.http.get(path)).json().get("attempts"):
            await asyncio.sleep(0.05)
    replay = await _replay(client, webhook="w", from_seq=1)
    assert (replay["matched"], replay["queued"], replay["skipped"]) == (4, 0, 4)
    second.set()
    requests = await receiver.until(5, "/w")
    await asyncio.sleep(0.3)
    assert [request.json["data"]["n"] for request in requests] == [0, 0, 1, 2, 3]


async def test_a_waiting_retry_does_not_delay_other_webhooks(
    client: Client, receiver: Receiver
) -> None:
    await client.send([event("a") for _ in range(100)])
    for start in range(12):
        await client.send([event("a", {"n": start}) for _ in range(100)])
    await client.webhook(id="paused", url=f"{receiver.url}/p", events=["a"], enabled=False)
    for _ in range(6):
        answer = await client.http.post("/v1/replays", json={"webhook": "paused", "from_seq": 1})
        assert answer.status_code == 202
        async with asyncio.timeout(PATIENCE):  # it is as far ahead as allowed
            while (await client.http.get("/v1/webhooks/paused/stats")).json()["queue_depth"] < 1024:
                await asyncio.sleep(0.05)
    await client.webhook(id="well", url=f"{receiver.url}/w", events=["a"])
    replay = await _replay(client, webhook="well", from_seq=1)
    assert (replay["state"], replay["queued"]) == ("done", 1300)


async def test_responses_of_an_earlier_run_are_not_shown_for_the_next(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    await client.http.post(f"/v1/deliveries/w/{sent['id']}/retry")
    delivery = await client.until("w", sent["id"], "succeeded")
    assert (delivery["run"], len(delivery["attempts"])) == (2, 1)
    assert delivery["attempts"][0].get("response") is None


async def test_a_dead_letter_without_its_event_is_not_sent(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "pending")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(f"delivery:w:{sent['id']}", "seq", 1_000_000)  # the log has dropped it
    await client.http.post("/v1/webhooks/w/enable")
    await client.until("w", sent["id"], "dead_letter")
    for expected in ({"all": True}, {"ids": [1]}):
        replay = await _replay(client, "/v1/dead-letters/replay", **expected)
        assert (replay["matched"], replay["queued"], replay["skipped"]) == (1, 0, 1)
    assert (await client.http.post(f"/v1/deliveries/w/{sent['id']}/retry")).status_code == 409
    assert receiver.requests == []


async def test_an_event_that_the_router_refuses_is_not_replayed(
    client: Client, receiver: Receiver
) -> None:
    forged = event("webhook.disabled", source="event-gateway")
    await client.nats.jetstream().publish("events.x", json.dumps(forged).encode())
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["webhook.>"])
    assert (await _replay(client, webhook="w", from_seq=1))["matched"] == 0


async def test_dead_letters_of_a_deleted_webhook_are_not_for_a_new_one(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    await client.delete_webhook("w")
    await client.webhook(id="w", url=f"{receiver.url}/heir", events=["b"])
    replay = await _replay(client, "/v1/dead-letters/replay", all=True)
    assert (replay["matched"], replay["queued"]) == (1, 0)
    assert (await client.http.get("/v1/webhooks/w/deliveries")).json()["items"] == []
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["attempts"], stats["dead_lettered"]) == (0, 0)
    assert (await _replay(client, "/v1/dead-letters/replay", ids=[1]))["queued"] == 1
    await receiver.until(1, "/heir")


async def test_dead_letters_in_use_are_not_deleted(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE)
    sent = event("a", {"kept": "in the letter"})
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    paused = await client.http.patch("/v1/webhooks/w", json={"enabled": False})
    assert paused.status_code == 200, paused.text
    assert (await _replay(client, "/v1/dead-letters/replay", all=True))["queued"] == 1
    await client.until("w", sent["id"], "pending")
    for path in ("/1", "?all=true", "?webhook=w", "?type=a"):
        answer = await client.http.delete(f"/v1/dead-letters{path}")
        assert (answer.status_code, "being replayed" in answer.text) == (409, True), path
    receiver.answers["/w"] = [200]
    await client.http.post("/v1/webhooks/w/enable")
    await client.until("w", sent["id"], "succeeded")
    answer = await client.http.delete("/v1/dead-letters", params={"all": "true"})
    assert answer.json()["purged"] == 1


async def test_a_delivery_of_a_dead_process_can_be_cancelled(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "pending")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(
            f"delivery:w:{sent['id']}", mapping={"status": "in_progress", "token": "x"}
        )
    answer = await client.http.post(f"/v1/deliveries/w/{sent['id']}/cancel")
    assert (answer.status_code, answer.json().get("status")) == (200, "cancelled")


async def test_the_second_source_of_an_id_outlives_the_first(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """The second record remains under its own key when the first one expires."""
    receiver.answers["/w"] = [200, 500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"],
        retry_policy={"initial_delay": "1s", "backoff": "fixed"},
    )  # fmt: skip
    sent = event("a")
    await client.send(sent | {"source": "one"})
    await client.until("w", sent["id"], "succeeded")
    await client.send(sent | {"source": "two"})
    await receiver.until(2)
    receiver.holds["/w"] = asyncio.Event()  # the third request waits for what follows
    statuses = ("in_progress", "retrying")
    async with asyncio.timeout(PATIENCE):
        while not (await client.until("w", sent["id"], *statuses, source="two"))["attempts"]:
            await asyncio.sleep(0.05)
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.delete(f"delivery:w:{sent['id']}")
    receiver.holds["/w"].set()
    await receiver.until(3)
    delivery = await client.until("w", sent["id"], "succeeded", source="two")
    assert len(delivery["attempts"]) == 2
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert stats["queue_depth"] == 0


async def test_large_events_are_replayed(client: Client, receiver: Receiver) -> None:
    """More data than the connection to NATS buffers at once; no event is left out."""
    data = base64.b64encode(os.urandom(600_000)).decode()
    sent = [event("a", {"n": n, "data": data}) for n in range(120)]
    for item in sent:
        await client.send(item)
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], enrich=False, transformation="standard"
    )
    replay = await _replay(client, webhook="w", from_seq=1)
    assert (replay["state"], replay["looked_at"], replay["queued"]) == ("done", 120, 120)
    await receiver.until(120, "/w")
    assert {request.json["id"] for request in receiver.requests} == {item["id"] for item in sent}


async def test_a_dead_letter_larger_than_a_message_is_compressed(
    client: Client, receiver: Receiver
) -> None:
    """In JSON an event may be six times as large as it was sent."""
    receiver.answers["/w"] = [500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=ONCE, timeout="2m"
    )
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
    """Replayed deliveries expire before that stream drops their events, not by the log's limit."""
    nats_url, redis_url = servers
    bus = await connect_bus(nats_url)
    await bus.jetstream().add_stream(StreamConfig("THEIRS", subjects=["theirs.>"], max_age=max_age))
    sent = event("theirs.a")
    await bus.jetstream().publish("theirs.a", json.dumps(sent).encode())
    await bus.close()
    client = await connect(
        await start({
            "nats": {"url": nats_url}, "redis": {"url": redis_url},
            "ingest": {"streams": ["THEIRS"], "retention": "1m"},
        })
    )  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["theirs.>"])
    replay = await _replay(client, webhook="w", stream="THEIRS", from_seq=1)
    assert replay["queued"] == 1
    await client.until("w", sent["id"], "succeeded")
    async with redis.asyncio.from_url(redis_url) as store:
        latest = float(await hget(store, f"delivery:w:{sent['id']}", "latest")) / 1000
        at = float(await hget(store, f"delivery:w:{sent['id']}", "event_at")) / 1000
    assert latest - at > (3000 if max_age else 1e9)


async def test_a_missing_answer_does_not_end_a_replay(
    gateway: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader must ask again, or it would take the missing events for done."""
    broker = gateway.gateway.stages.adapters.broker
    await client.send([event("a") for _ in range(5)])
    add, js = broker.js.add_consumer, client.nats.jetstream()

    async def add_and_lose(*about: Any, **more: Any) -> Any:
        result = await add(*about, **more)
        await js.purge_stream("GATEWAY_EVENTS")  # as if they were lost on the way
        return result

    monkeypatch.setattr(stream_page, "RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(broker.js, "add_consumer", add_and_lose)
    with pytest.raises(TimeoutError):
        await stream_page.read_page(broker, "GATEWAY_EVENTS")
    monkeypatch.setattr(broker.js, "add_consumer", add)
    assert await stream_page.read_page(broker, "GATEWAY_EVENTS") == stream_page.StreamPage([], 0)
