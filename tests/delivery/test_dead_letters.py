"""Dead letters: listed, shown, delivered after all, deleted."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio

from event_gateway.api.routes import dead_letters
from event_gateway.broker import pull
from event_gateway.broker.dead_letters import DeadLetterBody, DeadLetterLog
from event_gateway.broker.event_reader import EventReader
from event_gateway.cli.process.serve import Running
from event_gateway.delivery import outcomes
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

ONCE = {"max_attempts": 1}
STURDY = {"failure_threshold": 10_000}


async def _dead(
    client: Client, receiver: Receiver, webhook: str, *types: str, **definition: Any
) -> list[dict[str, Any]]:
    """Events that have become dead letters of a webhook."""
    receiver.answers[f"/{webhook}"] = [500]
    body = {"id": webhook, "url": f"{receiver.url}/{webhook}", "events": [">"],
            "retry_policy": ONCE, "circuit_breaker": STURDY}  # fmt: skip
    await client.webhook(**body | definition)
    sent = []
    for one in types:
        sent.append(event(one))
        await client.send(sent[-1])
        await client.until(webhook, sent[-1]["id"], "dead_letter")
    return sent


async def _letters(client: Client, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = await client.http.get("/v1/dead-letters", params=query | cursor)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items
        cursor = {"cursor": answer.json()["next"]}


async def _replay(client: Client, **wanted: Any) -> dict[str, Any]:
    answer = await client.http.post("/v1/dead-letters/replay", json=wanted)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/replays/{told['id']}"
    async with asyncio.timeout(PATIENCE):
        while told["state"] == "running":
            await asyncio.sleep(0.05)
            told = (await client.http.get(f"/v1/replays/{told['id']}")).json()
    return told


async def test_they_are_listed_and_shown(client: Client, receiver: Receiver) -> None:
    sent = await _dead(client, receiver, "w", "a.b", "a.c", headers={"X-Tenant": "acme"})
    between = (await client.delivery("w", sent[0]["id"]))["updated_at"]
    await client.http.patch("/v1/webhooks/w", json={"headers": {"X-Tenant": "other"}})
    (more,) = await _dead(client, receiver, "v", "a.d")
    listed = await _letters(client, webhook="w")
    assert [one["event_id"] for one in listed] == [sent[0]["id"], sent[1]["id"], more["id"]]
    first = listed[0]
    assert (first["webhook_id"], first["event_type"], first["reason"]) == (
        "w",
        "a.b",
        "ServerError",
    )
    assert (first["attempts"], first["last_error"]) == (1, "HTTP 500")
    assert (first["replayed_at"], first["source"]) == (None, "tests")
    ids = [one["id"] for one in listed]
    assert len(await _letters(client)) == 4
    for query, found in (
        ({"webhook": "w", "type": "a.c"}, ids[1:2]),
        ({"webhook": "w", "type": "*.b"}, ids[:1]),
        ({"webhook": "w", "reason": "ServerError", "limit": 1}, ids),
        ({"webhook": "w", "reason": "Expired"}, []),
        ({"webhook": "w", "since": between}, ids[1:]),
        ({"webhook": "w", "until": between}, ids[:1]),
        ({"webhook": "w", "limit": 1}, ids),
        ({"webhook": "none"}, []),
    ):
        assert [one["id"] for one in await _letters(client, **query)] == found, query
    shown = (await client.http.get(f"/v1/dead-letters/{first['id']}")).json()
    assert shown["webhook"]["headers"] == {"X-Tenant": "acme"}, "the webhook as it was"
    assert shown["event"] == sent[0]
    assert shown["attempts"][0]["response"] == "answer 500"
    assert (await client.http.get("/v1/dead-letters/9999")).status_code == 404


async def test_one_is_replayed_and_marked(client: Client, receiver: Receiver) -> None:
    sent = await _dead(client, receiver, "w", "a", "b")
    receiver.answers["/w"] = [200]
    first, second = await _letters(client)
    told = await _replay(client, ids=[first["id"]])
    assert (told["state"], told["matched"], told["queued"], told["skipped"]) == ("done", 1, 1, 0)
    delivery = await client.until("w", sent[0]["id"], "succeeded")
    assert (delivery["run"], delivery["repeats"]) == (2, f"replay {told['id']}")
    first, second = await _letters(client)
    assert datetime.fromisoformat(first["replayed_at"]).timestamp() > 0
    assert second["replayed_at"] is None
    # Named by its id it goes again; by a filter only what has not been replayed.
    assert (await _replay(client, ids=[first["id"], 9999]))["queued"] == 1
    told = await _replay(client, all=True)
    assert (told["matched"], told["queued"], told["skipped"]) == (2, 1, 1)
    await client.until("w", sent[1]["id"], "succeeded")
    assert [got.json["id"] for got in receiver.at("/w")].count(sent[0]["id"]) == 3


async def test_those_of_a_filter_are_counted_and_replayed(
    client: Client, receiver: Receiver
) -> None:
    kinds = ["a.x", "b.x", "a.y"] * 4
    sent = await _dead(client, receiver, "w", *kinds, events=["a.>", "b.>"])
    await _dead(client, receiver, "v", "c.x", events=["c.>"])
    receiver.answers["/w"] = [200]
    wanted = {"webhook": "w", "types": ["a.*"]}
    told = await _replay(client, **wanted, dry_run=True)
    assert (told["matched"], told["queued"], told["looked_at"]) == (8, 0, 12)
    await asyncio.sleep(0.2)
    assert len(receiver.at("/w")) == 12, "it only counts"
    told = await _replay(client, **wanted)
    assert (told["matched"], told["queued"], told["progress"]) == (8, 8, 1.0)
    got = (await receiver.until(20, "/w"))[12:]
    assert {one.json["id"] for one in got} == {
        one["id"] for one in sent if one["type"].startswith("a.")
    }
    assert len(receiver.at("/v")) == 1
    assert (await _replay(client, webhook="w", reason="Expired"))["matched"] == 0


@pytest.mark.parametrize("place", [-1, 0, 9999, 10**30])
async def test_places_where_there_is_none(client: Client, place: int) -> None:
    path = f"/v1/dead-letters/{place}"
    assert (await client.http.get(path)).status_code == 404
    assert (await client.http.delete(path)).status_code == 404
    answer = await client.http.post("/v1/dead-letters/replay", json={"ids": [place]})
    assert answer.status_code == (202 if place == 9999 else 422)


async def test_one_whose_webhook_is_gone_is_left_out(client: Client, receiver: Receiver) -> None:
    await _dead(client, receiver, "w", "a")
    await client.http.delete("/v1/webhooks/w")
    for wanted in ({"all": True}, {"ids": [1]}):
        told = await _replay(client, **wanted)
        assert (told["matched"], told["queued"], told["skipped"]) == (1, 0, 1), told


async def test_a_replayed_one_that_fails_is_a_new_letter(
    client: Client, receiver: Receiver
) -> None:
    (sent,) = await _dead(client, receiver, "w", "a")
    told = await _replay(client, all=True)
    await client.told(2, "webhook.dead_lettered")
    first, second = await _letters(client)
    assert first["replayed_at"]
    assert second["replayed_at"] is None
    assert (first["run"], second["run"]) == (1, 2)
    delivery = await client.until("w", sent["id"], "dead_letter")
    assert delivery["dead_letter"] == second["id"]
    assert told["queued"] == 1


async def test_large_ones_are_read_in_small_parts(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory at once has a limit, and one that is larger alone still comes."""
    monkeypatch.setattr(pull, "MAX_BYTES", 30_000)
    monkeypatch.setattr(dead_letters, "MAX_BYTES", 25_000)
    await _dead(client, receiver, "w")
    sent = [event("a", "x" * size) for size in (9000, 9000, 9000, 9000, 90_000, 10, 10, 9000)]
    for one in sent:
        await client.send(one)
        await client.until("w", one["id"], "dead_letter")
    ids = [one["id"] for one in sent]
    assert [one["event_id"] for one in await _letters(client)] == ids
    first = (await client.http.get("/v1/dead-letters")).json()
    assert [one["event_id"] for one in first["items"]] == ids[:3]
    receiver.answers["/w"] = [200]
    told = await _replay(client, webhook="w")
    assert (told["state"], told["looked_at"], told["queued"]) == ("done", 8, 8)
    for one in ids:
        await client.until("w", one, "succeeded")
    answer = await client.http.delete("/v1/dead-letters", params={"type": "a"})
    assert (answer.json()["purged"], answer.json()["next"] is None) == (3, False)
    assert [one["event_id"] for one in await _letters(client)] == ids[3:]


async def test_marks_do_not_outlive_their_letters(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    """Who replays one now and then does not have all marks of former ones kept for ever."""
    await _dead(client, receiver, "w", "a")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        kept = gateway.gateway.stages.adapters.runs.dead_letter_retention
        old, young = time.time() - kept - 10, time.time() - kept + 60
        await store.zadd("repeated:w", {"1000": old * 1000, "1001": young * 1000})
        (letter,) = await _letters(client)
        await _replay(client, ids=[letter["id"]])
        left = await store.zrange("repeated:w", 0, -1)
    assert left == [b"1001", str(letter["id"]).encode()]


async def test_they_are_deleted(client: Client, receiver: Receiver) -> None:
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
    assert [one["event_type"] for one in left] == ["a.y", "c"]
    assert await purge(webhook="w", until=left[1]["time"], dry_run="true") == 1
    assert await purge(webhook="w", until=left[1]["time"]) == 1
    assert await purge(webhook="w", dry_run="true") == 1
    assert await purge(webhook="none") == 0
    assert len(await _letters(client)) == 2
    assert await purge(all="true", dry_run="true") == 2
    assert await purge(all="true") == 2
    assert await _letters(client) == []
    assert await purge(all="true") == 0


async def test_what_cannot_be_read_bounds_a_purge(client: Client, receiver: Receiver) -> None:
    await _dead(client, receiver, "w", "a")
    await asyncio.sleep(0.01)
    between = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.01)
    await client.nats.jetstream().publish("eg.dead.w", b"of a newer version, perhaps")
    await client.http.post(f"/v1/deliveries/w/{(await _letters(client))[0]['event_id']}/retry")
    await client.told(2, "webhook.dead_lettered")
    query = {"webhook": "w", "until": between}
    answer = await client.http.delete("/v1/dead-letters", params=query)
    assert answer.json()["purged"] == 1
    assert [one["run"] for one in await _letters(client)] == [2]


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
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
    ],
)
async def test_bad_replays_of_dead_letters(client: Client, wanted: Any, key: str) -> None:
    answer = await client.http.post("/v1/dead-letters/replay", json=wanted)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["key"] == key, answer.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"all": "true", "webhook": "w"}, 422),
        ({"type": "a..b"}, 422),
        ({"webhook": "a.>"}, 422),
        ({"type": "a", "cursor": "x"}, 400),
    ],
)
async def test_bad_purges(client: Client, query: dict[str, str], status: int) -> None:
    answer = await client.http.delete("/v1/dead-letters", params=query)
    assert answer.status_code == status, answer.text


async def test_an_event_that_can_never_be_loaded_still_expires(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a"], enabled=False,
        retry_policy={"max_age": "1s"},
    )  # fmt: skip

    async def unreadable(
        self: EventReader, positions: Sequence[tuple[str, int]]
    ) -> list[tuple[Exception, bool]]:
        return [(ValueError("unreadable"), False) for _ in positions]

    monkeypatch.setattr(EventReader, "read_many", unreadable)
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    (letter,) = await _letters(client)
    assert (letter["event_id"], letter["reason"]) == (sent["id"], "EventLost")


async def test_an_unexpected_error_does_not_hold_up_a_dead_letter(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, errors = DeadLetterLog.append, [ValueError("unexpected")]

    async def fails_once(self: DeadLetterLog, letter: DeadLetterBody, identity: str) -> int:
        if errors:
            raise errors.pop()
        return await append(self, letter, identity)

    monkeypatch.setattr(DeadLetterLog, "append", fails_once)
    monkeypatch.setattr(outcomes, "DEAD_LETTER_RETRY", 0.1)
    # An ordered webhook's delivery is not in a queue, from which it would come back by itself.
    (first,) = await _dead(client, receiver, "w", "a", ordered=True)
    receiver.answers["/w"] = [200]
    second = event("a")
    await client.send(second)
    await client.until("w", second["id"], "succeeded")
    assert [letter["event_id"] for letter in await _letters(client)] == [first["id"]]
