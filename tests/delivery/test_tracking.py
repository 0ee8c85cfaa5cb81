"""Deliveries as the API shows them: attempts, lists by status and time, counts."""

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

pytestmark = pytest.mark.shared

FAST = {"backoff": "fixed", "initial_delay": "100ms", "max_attempts": 3}


async def _sent(client: Client, count: int = 1, event_type: str = "a") -> list[str]:
    sent = [event(event_type) for _ in range(count)]
    await client.send(sent)
    return [item["id"] for item in sent]


async def _listed(client: Client, webhook: str = "w", **query: Any) -> list[dict[str, Any]]:
    """Reads all pages of a list."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = await client.http.get(f"/v1/webhooks/{webhook}/deliveries", params=query | more)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if (cursor := answer.json()["next"]) is None:
            return items


async def test_every_attempt_is_shown(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 422, 200]
    receiver.headers["/w"] = {"X-Trace": "abc", "X-Long": "l" * 2000, "X-Short": "s"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=FAST)
    (single,) = await _sent(client)
    delivery = await client.until("w", single, "succeeded")
    first, second, third = delivery["attempts"]
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
    assert delivery["next_attempt_at"] is None
    assert (delivery["run"], delivery["repeats"], delivery["dead_letter"]) == (1, None, None)


async def test_the_dead_letter_has_all_attempts(client: Client, receiver: Receiver) -> None:
    """Also the responses to earlier attempts, which are read back from the ledger."""
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=FAST)
    (first,) = await _sent(client)
    delivery = await client.until("w", first, "dead_letter")
    *_, letter = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert delivery["dead_letter"] == letter.seq
    stored = json.loads(letter.data)
    assert [attempt["response"] for attempt in stored["attempts"]] == ["answer 500"] * 3
    assert all("content-length" in attempt["response_headers"] for attempt in stored["attempts"])
    assert delivery["attempts"] == stored["attempts"]


async def test_responses_are_stored_for_the_latest_hundred_deliveries(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], retry_policy={"max_attempts": 1},
        circuit_breaker={"failure_threshold": 10_000},
    )  # fmt: skip
    first = await _sent(client, 100)
    for item in first:
        await client.until("w", item, "dead_letter")
    last = await _sent(client, 30)
    for item in last:
        delivery = await client.until("w", item, "dead_letter")
        assert delivery["attempts"][0]["response"] == "answer 500"
    stored = [(await client.delivery("w", item))["attempts"][0].get("response") for item in first]
    assert stored.count(None) == 30
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
    claimed = []
    for _ in range(5):
        claimed += await _sent(client)
        await client.until("w", claimed[-1], "succeeded")
    await asyncio.sleep(0.01)
    between = datetime.fromtimestamp(time.time()).astimezone().isoformat()
    await asyncio.sleep(0.01)
    failing = await _sent(client, 3)
    for item in failing:
        await client.until("w", item, "retrying")
    assert [item["event_id"] for item in await _listed(client, status="succeeded")] == claimed[::-1]
    for limit in (1, 2, 1000):
        deliveries = await _listed(client, status="succeeded", limit=limit)
        assert [item["event_id"] for item in deliveries] == claimed[::-1]
    listed = await _listed(client, limit=3)
    assert {item["event_id"] for item in listed[:3]} == set(failing)
    assert [item["event_id"] for item in listed[3:]] == claimed[::-1]
    assert (listed[0]["status"], listed[0]["attempts"], listed[0]["last_error"]) == (
        "retrying", 1, "ServerError: HTTP 500",
    )  # fmt: skip
    assert {item["event_id"] for item in await _listed(client, since=between)} == set(failing)
    assert [item["event_id"] for item in await _listed(client, until=between)] == claimed[::-1]
    assert await _listed(client, status="cancelled") == []


async def test_pending_deliveries_are_listed_in_order(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    ids = []
    for _ in range(25):
        ids += await _sent(client)
    async with asyncio.timeout(PATIENCE):
        while len(listed := await _listed(client, status="pending", limit=7)) < 25:
            await asyncio.sleep(0.05)
    assert [item["event_id"] for item in listed] == ids
    assert await _listed(client, status="in_progress") == []
    receiver.delays["/w"] = [3.0]
    await client.http.post("/v1/webhooks/w/enable")
    async with asyncio.timeout(PATIENCE):
        while not (listed := await _listed(client, status="in_progress")):
            await asyncio.sleep(0.05)
    assert {item["event_id"] for item in listed} <= set(ids)
    assert listed[0]["attempts"] == 0


async def test_lists_of_pending_deliveries_while_they_change(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    """A page begins where the former ended, also where that one is in work by now; and what waits
    for its next attempt is not gone through to the last."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    await _sent(client, 12)
    async with asyncio.timeout(PATIENCE):
        while len(waiting := await _listed(client, status="pending")) < 12:
            await asyncio.sleep(0.05)
    ids = [item["event_id"] for item in waiting]

    async def page(**query: Any) -> tuple[list[str], str | None]:
        answer = await client.http.get("/v1/webhooks/w/deliveries", params=query)
        return [item["event_id"] for item in answer.json()["items"]], answer.json()["next"]

    result, cursor = await page(status="pending", limit=4)
    assert result == ids[:4]
    store = redis.asyncio.from_url(gateway.redis_url)
    await store.zadd("queue:w", {ids[3]: time.time() * 1000 + 20_000})
    result, _ = await page(status="pending", limit=4, cursor=cursor)
    assert result == ids[4:8]
    await store.zadd("queue:w", {item: time.time() * 1000 + 3_600_000 for item in ids[6:]})
    for item in ids[6:]:
        await store.hset(f"delivery:w:{item}", "status", "retrying")
    await store.aclose()
    assert await page(status="pending", limit=6) == ([*ids[:3], *ids[4:6], ids[3]], None)
    assert await page(status="in_progress") == ([], None)
    # Those that wait for another attempt are listed to the last, not only the latest thousand.
    first, cursor = await page(status="retrying", limit=4)
    rest, _ = await page(status="retrying", limit=4, cursor=cursor)
    assert (len(first), {*first, *rest}) == (4, set(ids[6:]))


async def test_equal_ids_of_two_sources_in_lists(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    sent = event("a")
    for source in ("one", "two"):
        await client.send(sent | {"source": source})
    async with asyncio.timeout(PATIENCE):
        while len(listed := await _listed(client, status="succeeded")) < 2:
            await asyncio.sleep(0.05)
    assert {(item["event_id"], item["source"]) for item in listed} == {
        (sent["id"], "one"), (sent["id"], "two"),
    }  # fmt: skip


BAD_LISTS: list[tuple[dict[str, str], int, str]] = [
    ({"status": "lost"}, 422, "status"),
    ({"since": "yesterday"}, 422, "since: 'yesterday' is not an RFC 3339 time"),
    ({"until": "2026-05-04T03:02:01"}, 422, "until"),
    ({"limit": "0"}, 422, "limit"),
    ({"cursor": "%%%"}, 400, "cursor"),
    ({"cursor": "WzFd"}, 400, "cursor"),
]


async def test_bad_lists(client: Client, receiver: Receiver, subtests: pytest.Subtests) -> None:
    await client.webhook(id="w", url=receiver.url, events=["a"])
    for query, status, message in BAD_LISTS:
        with subtests.test(query=query, message=message):
            answer = await client.http.get("/v1/webhooks/w/deliveries", params=query)
            assert answer.status_code == status, answer.text
            assert message in answer.json()["detail"]
    assert (await client.http.get("/v1/webhooks/none/deliveries")).status_code == 404


async def test_counts_of_a_webhook(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [200, 500, 200, 500, 500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"],
        retry_policy={"max_attempts": 2, "initial_delay": "50ms"},
    )  # fmt: skip
    for status in ("succeeded", "succeeded", "dead_letter"):
        (first,) = await _sent(client)
        await client.until("w", first, status)
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
            await asyncio.sleep(0.05)
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
    (first,) = await _sent(client)
    await client.until("w", first, "succeeded")
    async with redis.asyncio.from_url(running.redis_url) as store:
        for key in (f"delivery:w:{first}", "recent:w"):
            assert 50_000 < await store.pttl(key) <= 60_000
        await store.delete(f"delivery:w:{first}")  # as its expiry would
        assert await _listed(client) == []
        assert await store.zcard("recent:w") == 0


async def test_deliveries_of_ordered_webhooks_are_listed(
    client: Client, receiver: Receiver
) -> None:
    """Deliveries of ordered webhooks are not in the queue."""
    receiver.delays["/w"] = [3600.0]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], ordered=True, timeout="60s"
    )  # fmt: skip
    (first,) = await _sent(client)
    await receiver.until(1)
    async with asyncio.timeout(PATIENCE):
        while not (listed := await _listed(client, status="in_progress")):
            await asyncio.sleep(0.05)
    assert [item["event_id"] for item in listed] == [first]


async def test_in_flight_counts_the_attempts_that_run(client: Client, receiver: Receiver) -> None:
    """Deliveries that a process has leased and that wait for a slot are pending, not in flight."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    await _sent(client, 100)
    async with asyncio.timeout(PATIENCE):
        while len(await _listed(client, status="pending")) < 100:
            await asyncio.sleep(0.05)
    receiver.delays["/w"] = [3600.0]
    await client.http.patch("/v1/webhooks/w", json={"concurrency": 3, "timeout": "60s"})
    await client.http.post("/v1/webhooks/w/enable")
    async with asyncio.timeout(PATIENCE):
        while len(await _listed(client, status="in_progress")) < 3:
            await asyncio.sleep(0.05)
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["in_flight"], stats["queue_depth"], stats["waiting"]) == (3, 100, 97)
    waiting = await _listed(client, status="pending")
    assert len(waiting) == 97
    assert {delivery["attempts"] for delivery in waiting} == {0}
    # One that a process holds for its turn cannot be hurried or cancelled.
    held = waiting[0]["event_id"]
    for action in ("retry", "cancel"):
        answer = await client.http.post(f"/v1/deliveries/w/{held}/{action}")
        assert answer.status_code == 409, answer.text


@pytest.mark.alone
async def test_in_flight_of_an_ordered_webhook(client: Client, receiver: Receiver) -> None:
    receiver.delays["/w"] = [3600.0]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], ordered=True, timeout="60s"
    )  # fmt: skip
    await _sent(client, 3)
    async with asyncio.timeout(PATIENCE):
        while not await _listed(client, status="in_progress"):
            await asyncio.sleep(0.05)
    assert (await client.http.get("/v1/webhooks/w/stats")).json()["in_flight"] == 1
