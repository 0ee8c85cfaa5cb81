"""Dead letters: listed, shown, replayed, deleted."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio

from event_gateway.api.routes import dead_letter_selection
from event_gateway.broker import pull
from event_gateway.broker.dead_letters import DeadLetterBody, DeadLetterLog
from event_gateway.cli.process.serve import Running
from event_gateway.delivery import outcomes
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

ONCE = {"max_attempts": 1}
STURDY = {"failure_threshold": 10_000}

pytestmark = pytest.mark.shared


@pytest.fixture(autouse=True)
async def _no_dead_letters_left(client: Client) -> AsyncIterator[None]:
    yield
    await client.nats.jetstream().purge_stream("GATEWAY_DEAD_LETTERS")


async def _dead(
    client: Client, receiver: Receiver, webhook: str, *types: str, **definition: Any
) -> list[dict[str, Any]]:
    """Makes dead letters of a webhook; returns their events."""
    receiver.answers[f"/{webhook}"] = [500]
    body = {"id": webhook, "url": f"{receiver.url}/{webhook}", "events": [">"],
            "retry_policy": ONCE, "circuit_breaker": STURDY}  # fmt: skip
    await client.webhook(**body | definition)
    sent = []
    for type in types:
        sent.append(event(type))
        await client.send(sent[-1])
        await client.until(webhook, sent[-1]["id"], "dead_letter")
    return sent


async def _letters(client: Client, **query: Any) -> list[dict[str, Any]]:
    """All pages of a list of dead letters, the oldest first."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = await client.http.get("/v1/dead-letters", params=query | cursor)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items[::-1]
        cursor = {"cursor": answer.json()["next"]}


async def _replay(client: Client, **expected: Any) -> dict[str, Any]:
    answer = await client.http.post("/v1/dead-letters/replay", json=expected)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/replays/{body['id']}"
    async with asyncio.timeout(PATIENCE):
        while body["state"] == "running":
            await asyncio.sleep(0.05)
            body = (await client.http.get(f"/v1/replays/{body['id']}")).json()
    return body


async def test_dead_letters_are_listed_and_shown(client: Client, receiver: Receiver) -> None:
    sent = await _dead(client, receiver, "w", "a.b", "a.c", headers={"X-Tenant": "acme"})
    between = (await client.delivery("w", sent[0]["id"]))["updated_at"]
    await client.http.patch("/v1/webhooks/w", json={"headers": {"X-Tenant": "other"}})
    (more,) = await _dead(client, receiver, "v", "a.d")
    listed = await _letters(client, webhook="w")
    assert [item["event_id"] for item in listed] == [sent[0]["id"], sent[1]["id"], more["id"]]
    first = listed[0]
    assert (first["webhook_id"], first["event_type"], first["reason"]) == (
        "w",
        "a.b",
        "ServerError",
    )
    assert (first["attempts"], first["last_error"]) == (1, "HTTP 500")
    assert (first["replayed_at"], first["source"]) == (None, "tests")
    ids = [item["id"] for item in listed]
    assert len(await _letters(client)) == 4
    for query, result in (
        ({"webhook": "w", "type": "a.c"}, ids[1:2]),
        ({"webhook": "w", "type": "*.b"}, ids[:1]),
        ({"webhook": "w", "reason": "ServerError", "limit": 1}, ids),
        ({"webhook": "w", "reason": "Expired"}, []),
        ({"webhook": "w", "since": between}, ids[1:]),
        ({"webhook": "w", "until": between}, ids[:1]),
        ({"webhook": "w", "limit": 1}, ids),
        ({"webhook": "none"}, []),
    ):
        assert [letter["id"] for letter in await _letters(client, **query)] == result, query
    shown = (await client.http.get(f"/v1/dead-letters/{first['id']}")).json()
    assert shown["webhook"]["headers"] == {"X-Tenant": "acme"}, "the webhook as it was"
    assert shown["event"] == sent[0]
    assert shown["attempts"][0]["response"] == "answer 500"
    assert (await client.http.get("/v1/dead-letters/9999")).status_code == 404


async def test_a_dead_letter_is_replayed_and_marked(client: Client, receiver: Receiver) -> None:
    sent = await _dead(client, receiver, "w", "a", "b")
    receiver.answers["/w"] = [200]
    first, second = await _letters(client)
    replay = await _replay(client, ids=[first["id"]])
    assert (replay["state"], replay["matched"], replay["queued"], replay["skipped"]) == (
        "done",
        1,
        1,
        0,
    )
    delivery = await client.until("w", sent[0]["id"], "succeeded")
    assert (delivery["run"], delivery["repeats"]) == (2, f"replay {replay['id']}")
    first, second = await _letters(client)
    assert datetime.fromisoformat(first["replayed_at"]).timestamp() > 0
    assert second["replayed_at"] is None
    # By id it is replayed again; by a filter only dead letters not replayed yet.
    assert (await _replay(client, ids=[first["id"], 9999]))["queued"] == 1
    replay = await _replay(client, all=True)
    assert (replay["matched"], replay["queued"], replay["skipped"]) == (2, 1, 1)
    await client.until("w", sent[1]["id"], "succeeded")
    assert [result.json["id"] for result in receiver.requests_to("/w")].count(sent[0]["id"]) == 3


async def test_dead_letters_of_a_filter_are_counted_and_replayed(
    client: Client, receiver: Receiver
) -> None:
    kinds = ["a.x", "b.x", "a.y"] * 4
    sent = await _dead(client, receiver, "w", *kinds, events=["a.>", "b.>"])
    await _dead(client, receiver, "v", "c.x", events=["c.>"])
    receiver.answers["/w"] = [200]
    expected = {"webhook": "w", "types": ["a.*"]}
    replay = await _replay(client, **expected, dry_run=True)
    assert (replay["matched"], replay["queued"], replay["looked_at"]) == (8, 0, 12)
    await asyncio.sleep(0.2)
    assert len(receiver.requests_to("/w")) == 12, "it only counts"
    replay = await _replay(client, **expected)
    assert (replay["matched"], replay["queued"], replay["progress"]) == (8, 8, 1.0)
    requests = (await receiver.until(20, "/w"))[12:]
    assert {request.json["id"] for request in requests} == {
        event["id"] for event in sent if event["type"].startswith("a.")
    }
    assert len(receiver.requests_to("/v")) == 1
    assert (await _replay(client, webhook="w", reason="Expired"))["matched"] == 0


FREE_POSITIONS: list[int] = [-1, 0, 9999, 10**30]


async def test_positions_without_a_dead_letter(client: Client, subtests: pytest.Subtests) -> None:
    for place in FREE_POSITIONS:
        with subtests.test(place=place):
            path = f"/v1/dead-letters/{place}"
            status = 404 if 0 <= place < 2**63 else 422
            assert (await client.http.get(path)).status_code == status
            assert (await client.http.delete(path)).status_code == status
            answer = await client.http.post("/v1/dead-letters/replay", json={"ids": [place]})
            assert answer.status_code == (202 if place == 9999 else 422)


async def test_a_dead_letter_of_a_deleted_webhook_is_skipped(
    client: Client, receiver: Receiver
) -> None:
    await _dead(client, receiver, "w", "a")
    (letter,) = await _letters(client)
    await client.http.delete("/v1/webhooks/w")
    for expected in ({"all": True}, {"ids": [letter["id"]]}):
        replay = await _replay(client, **expected)
        assert (replay["matched"], replay["queued"], replay["skipped"]) == (1, 0, 1), replay


async def test_a_replay_that_fails_makes_a_new_dead_letter(
    client: Client, receiver: Receiver
) -> None:
    (sent,) = await _dead(client, receiver, "w", "a")
    replay = await _replay(client, all=True)
    await client.lifecycle_events(2, "webhook.dead_lettered")
    first, second = await _letters(client)
    assert first["replayed_at"]
    assert second["replayed_at"] is None
    assert (first["run"], second["run"]) == (1, 2)
    delivery = await client.until("w", sent["id"], "dead_letter")
    assert delivery["dead_letter"] == second["id"]
    assert replay["queued"] == 1


async def test_large_dead_letters_are_read_in_small_parts(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is limited, and a dead letter above the limit is still read."""
    monkeypatch.setattr(pull, "MAX_BYTES", 30_000)
    monkeypatch.setattr(dead_letter_selection, "MAX_BYTES", 25_000)
    await _dead(client, receiver, "w")
    sent = [event("a", "x" * size) for size in (9000, 9000, 9000, 9000, 90_000, 10, 10, 9000)]
    for item in sent:
        await client.send(item)
        await client.until("w", item["id"], "dead_letter")
    ids = [item["id"] for item in sent]
    assert [letter["event_id"] for letter in await _letters(client)] == ids
    first = (await client.http.get("/v1/dead-letters")).json()
    assert [item["event_id"] for item in first["items"]] == ids[:3:-1]
    receiver.answers["/w"] = [200]
    replay = await _replay(client, webhook="w")
    assert (replay["state"], replay["looked_at"], replay["queued"]) == ("done", 8, 8)
    for item in ids:
        await client.until("w", item, "succeeded")
    answer = await client.http.delete("/v1/dead-letters", params={"type": "a"})
    assert (answer.json()["purged"], answer.json()["next"] is None) == (3, False)
    assert [letter["event_id"] for letter in await _letters(client)] == ids[3:]


async def test_marks_are_deleted_with_their_dead_letters(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    """Marks of earlier replays are deleted even if only few dead letters are replayed."""
    (sent,) = await _dead(client, receiver, "marked", "a")
    receiver.answers["/marked"] = [200]
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        stored = gateway.gateway.stages.adapters.runs.dead_letter_retention
        old, young = time.time() - stored - 10, time.time() - stored + 60
        await store.zadd("repeated:marked", {"1000": old * 1000, "1001": young * 1000})
        (letter,) = await _letters(client)
        await _replay(client, ids=[letter["id"]])
        left = await store.zrange("repeated:marked", 0, -1)
    assert left == [b"1001", str(letter["id"]).encode()]
    await client.until("marked", sent["id"], "succeeded")


async def test_dead_letters_are_deleted(client: Client, receiver: Receiver) -> None:
    await _dead(client, receiver, "w", "a.x", "a.y", "b.x", "b.y", "b.z")
    await _dead(client, receiver, "v", "c", events=["c"])
    listed = await _letters(client)
    assert len(listed) == 7
    assert listed[-1]["webhook_id"] in ("v", "w")

    async def purge(**query: Any) -> Any:
        answer = await client.http.delete("/v1/dead-letters", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["purged"]

    first = listed[0]["id"]
    assert (await client.http.delete(f"/v1/dead-letters/{first}")).status_code == 204
    assert (await client.http.delete(f"/v1/dead-letters/{first}")).status_code == 404
    assert await purge(webhook="w", type="b.*", dry_run="true") == 3
    assert len(await _letters(client, webhook="w")) == 5
    assert await purge(webhook="w", type="b.*") == 3
    left = await _letters(client, webhook="w")
    assert [item["event_type"] for item in left] == ["a.y", "c"]
    assert await purge(webhook="w", until=left[1]["time"], dry_run="true") == 1
    assert await purge(webhook="w", until=left[1]["time"]) == 1
    assert await purge(webhook="w", dry_run="true") == 1
    assert await purge(webhook="none") == 0
    assert len(await _letters(client)) == 2
    assert await purge(all="true", dry_run="true") == 2
    assert await purge(all="true") == 2
    assert await _letters(client) == []
    assert await purge(all="true") == 0


async def test_a_purge_stops_at_an_unreadable_dead_letter(
    client: Client, receiver: Receiver
) -> None:
    await _dead(client, receiver, "w", "a")
    await asyncio.sleep(0.01)
    between = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.01)
    await client.nats.jetstream().publish("eg.dead.w", b"of a newer version, perhaps")
    await client.http.post(f"/v1/deliveries/w/{(await _letters(client))[0]['event_id']}/retry")
    await client.lifecycle_events(2, "webhook.dead_lettered")
    query = {"webhook": "w", "until": between}
    answer = await client.http.delete("/v1/dead-letters", params=query)
    assert answer.json()["purged"] == 1
    assert [letter["run"] for letter in await _letters(client)] == [2]


BAD_REPLAYS: list[tuple[Any, str]] = [
    ({}, ""),
    ({"ids": [1], "all": True}, ""),
    ({"ids": []}, "ids"),
    ({"ids": ["x"]}, "ids[0]"),
    ({"types": ["a..b"]}, "types[0]"),
    ({"since": "yesterday"}, "since"),
    ({"all": "yes"}, "all"),
    ({"hook": "w"}, ""),
    ({"webhook": "a b"}, "webhook"),
    ({"webhook": ">"}, "webhook"),
]


async def test_bad_replays_of_dead_letters(client: Client, subtests: pytest.Subtests) -> None:
    for expected, key in BAD_REPLAYS:
        with subtests.test(expected=expected, key=key):
            answer = await client.http.post("/v1/dead-letters/replay", json=expected)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"] == key, answer.text


BAD_PURGES: list[tuple[dict[str, str], int]] = [
    ({}, 422),
    ({"all": "true", "webhook": "w"}, 422),
    ({"type": "a..b"}, 422),
    ({"webhook": "a.>"}, 422),
    ({"type": "a", "cursor": "x"}, 400),
]


async def test_bad_purges(client: Client, subtests: pytest.Subtests) -> None:
    for query, status in BAD_PURGES:
        with subtests.test(query=query):
            answer = await client.http.delete("/v1/dead-letters", params=query)
            assert answer.status_code == status, answer.text


async def test_an_unexpected_error_does_not_prevent_a_dead_letter(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, errors = DeadLetterLog.append, [ValueError("unexpected")]

    async def fails_once(self: DeadLetterLog, letter: DeadLetterBody, identity: str) -> int:
        if errors:
            raise errors.pop()
        return await append(self, letter, identity)

    monkeypatch.setattr(DeadLetterLog, "append", fails_once)
    monkeypatch.setattr(outcomes, "DEAD_LETTER_RETRY", 0.1)
    # The delivery of an ordered webhook is in no queue from which it would be retried.
    (first,) = await _dead(client, receiver, "w", "a", ordered=True)
    receiver.answers["/w"] = [200]
    second = event("a")
    await client.send(second)
    await client.until("w", second["id"], "succeeded")
    assert [letter["event_id"] for letter in await _letters(client)] == [first["id"]]
