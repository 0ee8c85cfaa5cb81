"""What became of each delivery: its attempts, lists by status and time, counts."""

import asyncio
import json
import time
from datetime import datetime
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver
from support.redis_values import hget

FAST = {"backoff": "fixed", "initial_delay": "100ms", "max_attempts": 3}


async def _sent(client: Client, count: int = 1, event_type: str = "a") -> list[str]:
    sent = [event(event_type) for _ in range(count)]
    await client.send(sent)
    return [one["id"] for one in sent]


async def _listed(client: Client, webhook: str = "w", **query: Any) -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = await client.http.get(f"/v1/webhooks/{webhook}/deliveries", params=query | more)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if (cursor := answer.json()["next"]) is None:
            return items


async def test_every_attempt_is_told(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 422, 200]
    receiver.headers["/w"] = {"X-Trace": "abc", "X-Long": "l" * 2000, "X-Short": "s"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=FAST)
    (one,) = await _sent(client)
    told = await client.until("w", one, "succeeded")
    first, second, third = told["attempts"]
    assert [first["number"], second["number"], third["number"]] == [1, 2, 3]
    assert (first["status_code"], second["status_code"], third["status_code"]) == (500, 422, 200)
    assert (first["error_type"], second["error_type"]) == ("ServerError", "ClientError")
    assert (first["error_message"], first["response"]) == ("HTTP 500", "answer 500")
    assert first["response_headers"]["x-trace"] == "abc"
    assert "x-long" not in first["response_headers"], "headers have a limit"
    for attempt, following in ((first, second), (second, third)):
        due = datetime.fromisoformat(attempt["next_attempt_at"])
        began = datetime.fromisoformat(following["time"])
        assert (began - due).total_seconds() >= -0.1
    assert set(third) == {"number", "time", "duration_ms", "status_code"}
    assert told["next_attempt_at"] is None
    assert (told["run"], told["repeats"], told["dead_letter"]) == (1, None, None)


async def test_the_dead_letter_has_all_attempts(client: Client, receiver: Receiver) -> None:
    """Also what receivers answered to earlier attempts, which were read back from the ledger."""
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=FAST)
    (one,) = await _sent(client)
    told = await client.until("w", one, "dead_letter")
    (letter,) = await client.all_of("GATEWAY_DEAD_LETTERS")
    assert told["dead_letter"] == letter.seq
    kept = json.loads(letter.data)
    assert [attempt["response"] for attempt in kept["attempts"]] == ["answer 500"] * 3
    assert all("content-length" in attempt["response_headers"] for attempt in kept["attempts"])
    assert told["attempts"] == kept["attempts"]


async def test_answers_are_kept_of_the_latest_hundred(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], retry_policy={"max_attempts": 1},
        circuit_breaker={"failure_threshold": 10_000},
    )  # fmt: skip
    first = await _sent(client, 100)
    for one in first:
        await client.until("w", one, "dead_letter")
    last = await _sent(client, 30)
    for one in last:
        told = await client.until("w", one, "dead_letter")
        assert told["attempts"][0]["response"] == "answer 500"
    kept = [(await client.delivery("w", one))["attempts"][0].get("response") for one in first]
    assert kept.count(None) == 30
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        assert await store.hlen("answers:w") == await store.zcard("answered:w") == 100
        assert b"answer 500" not in await hget(store, f"delivery:w:{first[0]}", "log")


async def test_deliveries_are_listed_by_status_and_time(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [200] * 5 + [500]
    policy = {"max_attempts": 2, "initial_delay": "1h", "max_delay": "1h"}
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy, concurrency=1,
        circuit_breaker={"failure_threshold": 100},
    )  # fmt: skip
    taken = []
    for _ in range(5):
        taken += await _sent(client)
        await client.until("w", taken[-1], "succeeded")
    await asyncio.sleep(0.01)
    between = datetime.fromtimestamp(time.time()).astimezone().isoformat()
    await asyncio.sleep(0.01)
    failing = await _sent(client, 3)
    for one in failing:
        await client.until("w", one, "retrying")
    assert [one["event_id"] for one in await _listed(client, status="succeeded")] == taken[::-1]
    for limit in (1, 2, 1000):
        found = await _listed(client, status="succeeded", limit=limit)
        assert [one["event_id"] for one in found] == taken[::-1]
    listed = await _listed(client, limit=3)
    assert {one["event_id"] for one in listed[:3]} == set(failing)
    assert [one["event_id"] for one in listed[3:]] == taken[::-1]
    assert (listed[0]["status"], listed[0]["attempts"], listed[0]["last_error"]) == (
        "retrying", 1, "ServerError: HTTP 500",
    )  # fmt: skip
    assert {one["event_id"] for one in await _listed(client, since=between)} == set(failing)
    assert [one["event_id"] for one in await _listed(client, until=between)] == taken[::-1]
    assert await _listed(client, status="cancelled") == []


async def test_what_waits_is_listed_in_its_order(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    ids = []
    for _ in range(25):
        ids += await _sent(client)
    async with asyncio.timeout(PATIENCE):
        while len(found := await _listed(client, status="pending", limit=7)) < 25:
            await asyncio.sleep(0.05)
    assert [one["event_id"] for one in found] == ids
    assert await _listed(client, status="in_progress") == []
    receiver.delays["/w"] = [3.0]
    await client.http.post("/v1/webhooks/w/enable")
    async with asyncio.timeout(PATIENCE):
        while not (found := await _listed(client, status="in_progress")):
            await asyncio.sleep(0.02)
    assert {one["event_id"] for one in found} <= set(ids)
    assert found[0]["attempts"] == 0


async def test_lists_of_what_waits_while_it_moves(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    """A page begins where the former ended, also where that one is in work by now; and what waits
    for its next attempt is not gone through to the last."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    await _sent(client, 12)
    async with asyncio.timeout(PATIENCE):
        while len(waiting := await _listed(client, status="pending")) < 12:
            await asyncio.sleep(0.05)
    ids = [one["event_id"] for one in waiting]

    async def page(**query: Any) -> tuple[list[str], str | None]:
        answer = await client.http.get("/v1/webhooks/w/deliveries", params=query)
        return [one["event_id"] for one in answer.json()["items"]], answer.json()["next"]

    found, cursor = await page(status="pending", limit=4)
    assert found == ids[:4]
    store = redis.asyncio.from_url(gateway.redis_url)
    await store.zadd("queue:w", {ids[3]: time.time() * 1000 + 20_000})
    found, _ = await page(status="pending", limit=4, cursor=cursor)
    assert found == ids[4:8]
    await store.zadd("queue:w", {one: time.time() * 1000 + 3_600_000 for one in ids[6:]})
    for one in ids[6:]:
        await store.hset(f"delivery:w:{one}", "status", "retrying")
    await store.aclose()
    assert await page(status="pending", limit=6) == ([*ids[:3], *ids[4:6], ids[3]], None)
    assert await page(status="in_progress") == ([], None)


async def test_ids_of_two_sources_in_lists(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    one = event("a")
    for source in ("one", "two"):
        await client.send(one | {"source": source})
    async with asyncio.timeout(PATIENCE):
        while len(found := await _listed(client, status="succeeded")) < 2:
            await asyncio.sleep(0.05)
    assert {(item["event_id"], item["source"]) for item in found} == {
        (one["id"], "one"), (one["id"], "two"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"status": "lost"}, 422, "status"),
        ({"since": "yesterday"}, 422, "since: 'yesterday' is not an RFC 3339 time"),
        ({"until": "2026-05-04T03:02:01"}, 422, "until"),
        ({"limit": "0"}, 422, "limit"),
        ({"cursor": "%%%"}, 400, "cursor"),
        ({"cursor": "WzFd"}, 400, "cursor"),
    ],
)
async def test_bad_lists(
    client: Client, receiver: Receiver, query: dict[str, str], status: int, says: str
) -> None:
    await client.webhook(id="w", url=receiver.url, events=["a"])
    answer = await client.http.get("/v1/webhooks/w/deliveries", params=query)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert (await client.http.get("/v1/webhooks/none/deliveries")).status_code == 404


async def test_counts_of_a_webhook(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [200, 500, 200, 500, 500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"],
        retry_policy={"max_attempts": 2, "initial_delay": "50ms"},
    )  # fmt: skip
    for status in ("succeeded", "succeeded", "dead_letter"):
        (one,) = await _sent(client)
        await client.until("w", one, status)
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    counts = {
        "attempts": 5, "succeeded": 2, "success_rate": 0.4, "dead_lettered": 1, "cancelled": 0,
        "mean_latency_seconds": stats["mean_latency_seconds"],
    }  # fmt: skip
    assert {name: stats[name] for name in counts} == counts
    assert stats["last_24h"] == counts
    assert 0 <= stats["mean_latency_seconds"] < 60
    assert stats["last_success_at"] < stats["last_failure_at"]
    await client.http.patch("/v1/webhooks/w", json={"enabled": False})
    await _sent(client, 2)
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/w/stats")).json()["queue_depth"] < 2:
            await asyncio.sleep(0.02)
    await client.http.post("/v1/webhooks/w/enable", params={"discard": "true"})
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["cancelled"], stats["last_24h"]["cancelled"]) == (2, 2)
    assert len(await _listed(client, status="cancelled")) == 2


async def test_records_expire_as_configured(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    running = await start(
        {
            "delivery": {"allow_networks": ["127.0.0.0/8"], "keep_records": "1m"},
            "ingest": {"retention": "1m"},
        }
    )
    client = await connect(running)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    (one,) = await _sent(client)
    await client.until("w", one, "succeeded")
    async with redis.asyncio.from_url(running.redis_url) as store:
        for key in (f"delivery:w:{one}", "recent:w"):
            assert 50_000 < await store.pttl(key) <= 60_000
        await store.delete(f"delivery:w:{one}")  # as its expiry does
        assert await _listed(client) == []
        assert await store.zcard("recent:w") == 0


async def test_ordered_ones_are_listed_too(client: Client, receiver: Receiver) -> None:
    """They are kept out of the queue."""
    receiver.delays["/w"] = [2.0]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], ordered=True)
    (one,) = await _sent(client)
    await receiver.until(1)
    async with asyncio.timeout(PATIENCE):
        while not (found := await _listed(client, status="in_progress")):
            await asyncio.sleep(0.05)
    assert [item["event_id"] for item in found] == [one]
