"""Requests for one delivery: retry it, start a new run, or cancel it."""

import asyncio
import json
import time
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.patience import PATIENCE, allowance
from support.receiver import Receiver
from support.redis_values import hget

pytestmark = pytest.mark.shared

LATER = {"max_attempts": 3, "initial_delay": "1h", "max_delay": "1h"}


async def _request_run(
    client: Client, webhook: str, event_id: str, action: str, **query: str
) -> Any:
    return await client.http.post(f"/v1/deliveries/{webhook}/{event_id}/{action}", params=query)


async def test_a_pending_delivery_is_retried_at_once(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=LATER)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    answer = await _request_run(client, "w", sent["id"], "retry")
    assert answer.status_code == 202, answer.text
    delivery = await client.until("w", sent["id"], "succeeded")
    assert len(delivery["attempts"]) == 2
    assert (delivery["run"], delivery["repeats"]) == (1, None)
    assert len(receiver.requests_to("/w")) == 2


@pytest.mark.parametrize("status", ["succeeded", "dead_letter", "cancelled"])
async def test_a_finished_delivery_gets_a_new_run(
    client: Client, receiver: Receiver, status: str
) -> None:
    receiver.answers["/w"] = [200 if status == "succeeded" else 500, 200]
    policy = {"max_attempts": 1} if status == "dead_letter" else LATER
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    sent = event("a")
    await client.send(sent)
    if status == "cancelled":
        await client.until("w", sent["id"], "retrying")
        answer = await _request_run(client, "w", sent["id"], "cancel")
        assert answer.json()["status"] == "cancelled"
    delivery = await client.until("w", sent["id"], status)
    answer = await _request_run(client, "w", sent["id"], "retry")
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(PATIENCE):
        while (again := await client.delivery("w", sent["id"]))["run"] == 1 or (
            again["status"] != "succeeded"
        ):
            await asyncio.sleep(0.05)
    assert (again["run"], again["repeats"]) == (2, "retry")
    assert len(again["attempts"]) == 1, "a new run starts with its first attempt"
    first, second = receiver.requests_to("/w")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert second.headers["x-event-gateway-attempt"] == "1"
    assert first.json["data"]["enrichment"]
    assert first.body == second.body
    if status == "dead_letter":
        answer = await client.http.get(f"/v1/dead-letters/{delivery['dead_letter']}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["replayed_at"] is not None


async def test_the_dead_letter_has_an_event_that_the_log_has_dropped(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 200]
    policy = {"max_attempts": 1}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    sent = event("a", {"kept": "in the letter"})
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    await client.nats.jetstream().purge_stream("GATEWAY_EVENTS")
    # Without the cache of recent events.
    for _ in range(3):
        await client.send([event("other", "x" * 200_000) for _ in range(4)])
    answer = await _request_run(client, "w", sent["id"], "retry")
    assert answer.status_code == 202, answer.text
    await client.until("w", sent["id"], "succeeded")
    assert receiver.requests_to("/w")[-1].json["data"]["kept"] == "in the letter"


async def test_a_retry_without_the_event_is_refused(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "succeeded")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.hset(f"delivery:w:{sent['id']}", "seq", 1_000_000)
    answer = await _request_run(client, "w", sent["id"], "retry")
    assert answer.status_code == 409
    assert "the log no longer holds" in answer.json()["detail"]
    assert (await client.delivery("w", sent["id"]))["status"] == "succeeded"


@pytest.mark.alone
async def test_a_pending_delivery_is_cancelled(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=LATER)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    answer = await _request_run(client, "w", sent["id"], "cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    delivery = await client.delivery("w", sent["id"])
    assert delivery["last_error"] == "cancelled on request"
    assert delivery["next_attempt_at"] is None
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["queue_depth"], stats["cancelled"]) == (0, 1)
    listed = await client.http.get("/v1/webhooks/w/deliveries", params={"status": "cancelled"})
    assert [item["event_id"] for item in listed.json()["items"]] == [sent["id"]]
    again = await _request_run(client, "w", sent["id"], "cancel")
    assert (again.status_code, "has ended: cancelled" in again.text) == (409, True)
    metrics = (await client.http.get("/metrics")).text
    assert 'event_gateway_deliveries_total{webhook="w",outcome="cancelled"} 1.0' in metrics


async def test_a_delivery_with_a_running_attempt_is_refused(
    client: Client, receiver: Receiver
) -> None:
    hold = receiver.holds["/w"] = asyncio.Event()
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], timeout="60s")
    sent = event("a")
    await client.send(sent)
    await receiver.until(1, "/w")
    await client.until("w", sent["id"], "in_progress")
    for what in ("retry", "cancel"):
        answer = await _request_run(client, "w", sent["id"], what)
        assert (answer.status_code, "its attempt runs" in answer.text) == (409, True)
    hold.set()
    await client.until("w", sent["id"], "succeeded")
    assert len(receiver.requests_to("/w")) == 1


async def test_a_retry_for_a_paused_webhook(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = [event("a") for _ in range(3)]
    for item in sent:
        await client.send(item)
        await client.until("w", item["id"], "pending")
    assert (await _request_run(client, "w", sent[0]["id"], "cancel")).status_code == 200
    assert (await _request_run(client, "w", sent[2]["id"], "retry")).status_code == 202
    assert receiver.requests == [], "it is paused all the same"
    await client.http.post("/v1/webhooks/w/enable")
    requests = await receiver.until(2, "/w")
    await asyncio.sleep(0.3)
    assert [request.json["id"] for request in requests] == [sent[2]["id"], sent[1]["id"]]


async def test_retries_for_an_ordered_webhook_keep_their_order(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 200]
    began = time.monotonic()
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], ordered=True)
    delay = allowance(2, time.monotonic() - began, 20)  # two requests are made meanwhile
    changed = {"retry_policy": {"max_attempts": 2, "initial_delay": f"{delay}s"}}
    assert (await client.http.patch("/v1/webhooks/w", json=changed)).status_code == 200
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    for what in ("retry", "cancel"):
        answer = await _request_run(client, "w", sent["id"], what)
        assert (answer.status_code, "before earlier deliveries" in answer.text) == (409, True)
    await client.until("w", sent["id"], "succeeded", timeout=delay + PATIENCE)
    assert (await _request_run(client, "w", sent["id"], "retry")).status_code == 202
    await receiver.until(3, "/w")


async def test_the_source_selects_one_of_two_events(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    sent = event("a", id="x/y z")
    for source in ("one", "two"):
        await client.send(sent | {"source": source})
    await receiver.until(2, "/w")
    path = "/v1/deliveries/w/x%2Fy%20z"
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get(path, params={"source": "two"})).json()[
            "status"
        ] != "succeeded":
            await asyncio.sleep(0.02)
    answer = await client.http.post(f"{path}/retry", params={"source": "two"})
    assert answer.status_code == 202, answer.text
    requests = await receiver.until(3, "/w")
    assert requests[-1].json["source"] == "two"
    missing = await client.http.post(f"{path}/retry", params={"source": "three"})
    assert missing.status_code == 404
    assert (await _request_run(client, "none", "x", "retry")).status_code == 404
    assert (await _request_run(client, "w", "none", "cancel")).status_code == 404


async def test_the_deadline_of_a_new_run_starts_now(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """The event is older than max_age, and the delivery still does not expire at once."""
    policy = {"max_attempts": 2, "initial_delay": "100ms"}
    receiver.answers["/w"] = [200, 500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
    sent = event("a")
    await client.send(sent)
    logged = time.time()  # or earlier
    await client.until("w", sent["id"], "succeeded")
    # Two attempts and their delay fit into it, also on a busy machine.
    max_age = allowance(2, time.time() - logged, 20)
    changed = {"retry_policy": policy | {"max_age": f"{max_age}s"}}
    assert (await client.http.patch("/v1/webhooks/w", json=changed)).status_code == 200
    await asyncio.sleep(max(0.0, logged + max_age + 0.2 - time.time()))
    began = time.time()
    await _request_run(client, "w", sent["id"], "retry")
    answered = time.time()
    requests = await receiver.until(3, "/w")
    await client.until("w", sent["id"], "succeeded")
    assert len(requests) == 3
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        runs_from = float(await hget(store, f"delivery:w:{sent['id']}", "event_at")) / 1000
    assert began - 0.01 < runs_from < answered + 0.01
    assert json.loads(requests[-1].body)["id"] == sent["id"]
