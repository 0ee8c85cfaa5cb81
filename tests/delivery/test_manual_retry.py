"""One delivery, on request: tried at once, begun anew, or ended."""

import asyncio
import json
import time
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver
from support.redis_values import hget

LATER = {"max_attempts": 3, "initial_delay": "1h", "max_delay": "1h"}


async def _asked(client: Client, webhook: str, one: str, what: str, **query: str) -> Any:
    return await client.http.post(f"/v1/deliveries/{webhook}/{one}/{what}", params=query)


async def test_one_that_waits_is_tried_at_once(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=LATER)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "retrying")
    answer = await _asked(client, "w", one["id"], "retry")
    assert answer.status_code == 202, answer.text
    told = await client.until("w", one["id"], "succeeded")
    assert len(told["attempts"]) == 2
    assert (told["run"], told["repeats"]) == (1, None)
    assert len(receiver.at("/w")) == 2


@pytest.mark.parametrize("status", ["succeeded", "dead_letter", "cancelled"])
async def test_one_that_has_ended_is_begun_anew(
    client: Client, receiver: Receiver, status: str
) -> None:
    receiver.answers["/w"] = [200 if status == "succeeded" else 500, 200]
    policy = {"max_attempts": 1} if status == "dead_letter" else LATER
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    one = event("a")
    await client.send(one)
    if status == "cancelled":
        await client.until("w", one["id"], "retrying")
        answer = await _asked(client, "w", one["id"], "cancel")
        assert answer.json()["status"] == "cancelled"
    told = await client.until("w", one["id"], status)
    answer = await _asked(client, "w", one["id"], "retry")
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(PATIENCE):
        while (again := await client.delivery("w", one["id"]))["run"] == 1 or (
            again["status"] != "succeeded"
        ):
            await asyncio.sleep(0.02)
    assert (again["run"], again["repeats"]) == (2, "retry")
    assert len(again["attempts"]) == 1, "it begins anew"
    first, second = receiver.at("/w")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert second.headers["x-event-gateway-attempt"] == "1"
    bodies = [one.json for one in (first, second)]
    for body in bodies:  # enriched both, each in its time
        assert body["data"]["enrichment"].pop("processed_at")
    assert bodies[0] == bodies[1]
    if status == "dead_letter":
        answer = await client.http.get(f"/v1/dead-letters/{told['dead_letter']}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["replayed_at"] is not None


async def test_the_letter_gives_what_the_log_has_dropped(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 200]
    policy = {"max_attempts": 1}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    one = event("a", {"kept": "in the letter"})
    await client.send(one)
    await client.until("w", one["id"], "dead_letter")
    await client.nats.jetstream().purge_stream("GATEWAY_EVENTS")
    # The cache of recent events is not what is meant here.
    for _ in range(3):
        await client.send([event("other", "x" * 200_000) for _ in range(4)])
    answer = await _asked(client, "w", one["id"], "retry")
    assert answer.status_code == 202, answer.text
    await client.until("w", one["id"], "succeeded")
    assert receiver.at("/w")[-1].json["data"]["kept"] == "in the letter"


async def test_what_neither_has_is_refused(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "succeeded")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(f"delivery:w:{one['id']}", "seq", 1_000_000)
    answer = await _asked(client, "w", one["id"], "retry")
    assert answer.status_code == 409
    assert "the log no longer holds" in answer.json()["detail"]
    assert (await client.delivery("w", one["id"]))["status"] == "succeeded"


async def test_one_that_waits_is_ended(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=LATER)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "retrying")
    answer = await _asked(client, "w", one["id"], "cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    told = await client.delivery("w", one["id"])
    assert told["last_error"] == "cancelled on request"
    assert told["next_attempt_at"] is None
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["queue_depth"], stats["cancelled"]) == (0, 1)
    listed = await client.http.get("/v1/webhooks/w/deliveries", params={"status": "cancelled"})
    assert [item["event_id"] for item in listed.json()["items"]] == [one["id"]]
    again = await _asked(client, "w", one["id"], "cancel")
    assert (again.status_code, "has ended: cancelled" in again.text) == (409, True)


async def test_nothing_is_done_to_one_whose_attempt_runs(
    client: Client, receiver: Receiver
) -> None:
    receiver.delays["/w"] = [1.0]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    one = event("a")
    await client.send(one)
    await receiver.until(1, "/w")
    await client.until("w", one["id"], "in_progress")
    for what in ("retry", "cancel"):
        answer = await _asked(client, "w", one["id"], what)
        assert (answer.status_code, "its attempt runs" in answer.text) == (409, True)
    await client.until("w", one["id"], "succeeded")
    assert len(receiver.at("/w")) == 1


async def test_one_of_a_paused_webhook(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = [event("a") for _ in range(3)]
    for one in sent:
        await client.send(one)
        await client.until("w", one["id"], "pending")
    assert (await _asked(client, "w", sent[0]["id"], "cancel")).status_code == 200
    assert (await _asked(client, "w", sent[2]["id"], "retry")).status_code == 202
    assert receiver.got == [], "it is paused all the same"
    await client.http.post("/v1/webhooks/w/enable")
    got = await receiver.until(2, "/w")
    await asyncio.sleep(0.3)
    assert [one.json["id"] for one in got] == [sent[2]["id"], sent[1]["id"]]


async def test_ordered_ones_go_in_their_turn(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], ordered=True,
        retry_policy={"max_attempts": 2, "initial_delay": "2s"},
    )  # fmt: skip
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "retrying")
    for what in ("retry", "cancel"):
        answer = await _asked(client, "w", one["id"], what)
        assert (answer.status_code, "before earlier deliveries" in answer.text) == (409, True)
    await client.until("w", one["id"], "succeeded")
    assert (await _asked(client, "w", one["id"], "retry")).status_code == 202
    await receiver.until(3, "/w")


async def test_of_two_sources_the_named_one(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    one = event("a", id="x/y z")
    for source in ("one", "two"):
        await client.send(one | {"source": source})
    await receiver.until(2, "/w")
    path = "/v1/deliveries/w/x%2Fy%20z"
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get(path, params={"source": "two"})).json()[
            "status"
        ] != "succeeded":
            await asyncio.sleep(0.02)
    answer = await client.http.post(f"{path}/retry", params={"source": "two"})
    assert answer.status_code == 202, answer.text
    got = await receiver.until(3, "/w")
    assert got[-1].json["source"] == "two"
    missing = await client.http.post(f"{path}/retry", params={"source": "three"})
    assert missing.status_code == 404
    assert (await _asked(client, "none", "x", "retry")).status_code == 404
    assert (await _asked(client, "w", "none", "cancel")).status_code == 404


async def test_the_time_of_a_repetition_runs_from_now(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """Its event's max_age is long over; it is no dead letter at once for that."""
    policy = {"max_attempts": 2, "max_age": "2s", "initial_delay": "100ms"}
    receiver.answers["/w"] = [200, 500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    one = event("a")
    await client.send(one)
    await client.until("w", one["id"], "succeeded")
    await asyncio.sleep(2.2)
    began = time.time()
    await _asked(client, "w", one["id"], "retry")
    got = await receiver.until(3, "/w")
    await client.until("w", one["id"], "succeeded")
    assert len(got) == 3
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        runs_from = float(await hget(store, f"delivery:w:{one['id']}", "event_at")) / 1000
    assert began - 1 < runs_from < began + 1
    assert json.loads(got[-1].body)["id"] == one["id"]
