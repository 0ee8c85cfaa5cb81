"""Lists: how many items they have, in which order, and what their cursors name."""

import asyncio
from typing import Any

import pytest

from event_gateway.api.routes import dead_letter_selection
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

ONCE = {"max_attempts": 1}
LATER = {"max_attempts": 9, "backoff": "fixed", "initial_delay": "1h"}
STURDY = {"failure_threshold": 10_000}
STREAM = {"name": "lists", "subjects": ["lists.>"], "retention": "1d", "compliance": True}


async def _page(client: Client, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _total(client: Client, path: str, **query: Any) -> tuple[int | None, bool]:
    page = await _page(client, path, **query)
    return page["total"], page["total_is_estimate"]


async def test_every_list_has_a_total(client: Client) -> None:
    document = (await client.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    lists = {}
    for path, item in document["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {})
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
        if {"items", "next"} <= schema.get("properties", {}).keys():
            lists[path] = schema
    assert len(lists) >= 15
    await client.webhook(id="w", url="http://127.0.0.1:8099/", events=["a"])
    assert (await client.http.post("/v1/streams", json=STREAM)).status_code == 201
    for path, schema in lists.items():
        assert {"total", "total_is_estimate"} <= set(schema["required"]), path
        place = path.replace("{webhook_id}", "w").replace("{name}", "lists")
        page = await _page(client, place)
        assert (page["total"], page["total_is_estimate"]) == (len(page["items"]), False), path


async def test_lists_of_what_is_logged_say_how_much_there_is(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["lists.>"],
                         retry_policy=ONCE, circuit_breaker=STURDY)  # fmt: skip
    assert (await client.http.post("/v1/streams", json=STREAM)).status_code == 201
    sent = [event(f"lists.{'even' if n % 2 == 0 else 'odd'}") for n in range(6)]
    await client.send(sent)
    await client.send(event("another.type"))
    for each in sent:
        await client.until("w", each["id"], "dead_letter")
    letters, deliveries = "/v1/dead-letters", "/v1/webhooks/w/deliveries"
    assert await _total(client, letters, limit=2) == (6, False)
    assert await _total(client, letters, limit=2, webhook="w") == (6, False)
    assert await _total(client, letters, limit=2, webhook="none") == (0, False)
    assert await _total(client, letters, limit=2, type="lists.odd") == (None, True)
    listed = (await _page(client, letters))["items"]
    times = sorted(item["time"] for item in listed)
    assert await _total(client, letters, limit=2, since="1h") == (6, False)
    assert await _total(client, letters, limit=1, webhook="w", since=times[2], until=times[5]) == (
        sum(times[2] <= time < times[5] for time in times), False,
    )  # fmt: skip
    assert await _total(client, letters, type="lists.odd") == (3, False), "the page is the list"
    first = await _page(client, letters, limit=4)
    rest = await _page(client, letters, limit=4, cursor=first["next"])
    assert (len(rest["items"]), rest["total"], rest["total_is_estimate"]) == (2, 6, False)

    assert await _total(client, deliveries, limit=2) == (6, False)
    assert await _total(client, deliveries, limit=2, status="dead_letter") == (6, False)
    assert await _total(client, deliveries, limit=2, status="succeeded") == (0, False)
    assert await _total(client, deliveries, limit=2, until="2026-01-01T00:00:00Z") == (0, False)

    assert await _total(client, "/v1/events", limit=2) == (7, True)
    assert await _total(client, "/v1/events", limit=2, type="lists.odd") == (3, True)
    assert await _total(client, "/v1/events", limit=2, source="none") == (0, False)
    assert await _total(client, "/v1/events", limit=2, source="tests") == (None, True)
    at = (await _page(client, "/v1/events"))["items"][0]["received_at"]
    earlier = 7 - (await _page(client, "/v1/events", since=at))["total"]
    assert await _total(client, "/v1/events", until=at, limit=1) == (earlier, earlier > 1)
    assert await _total(client, "/v1/events", until="1h") == (0, False)
    messages = "/v1/streams/lists/messages"
    async with asyncio.timeout(PATIENCE):
        while len((await _page(client, messages))["items"]) < len(sent):
            await asyncio.sleep(0.05)
    assert await _total(client, messages, limit=2) == (6, True)
    assert await _total(client, messages, limit=2, from_seq=3) == (4, True)
    assert await _total(client, messages, from_seq=3) == (4, False)
    assert await _total(client, "/v1/audit-log", operation="webhooks") == (1, False)
    assert await _total(client, "/v1/audit-log", limit=1, since="1h") == (None, True)
    number, is_estimate = await _total(client, "/v1/audit-log", limit=1)
    assert is_estimate
    assert number == len((await _page(client, "/v1/audit-log"))["items"])


async def test_a_queue_says_how_much_waits(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["lists.>"],
                         retry_policy=LATER, circuit_breaker=STURDY)  # fmt: skip
    sent = [event("lists.a") for _ in range(5)]
    await client.send(sent)
    for each in sent:
        await client.until("w", each["id"], "retrying")
    path = "/v1/webhooks/w/deliveries"
    first = await _page(client, path, status="retrying", limit=2)
    assert (first["total"], first["total_is_estimate"]) == (5, False)
    rest = await _page(client, path, status="retrying", limit=2, cursor=first["next"])
    assert (rest["total"], len(rest["items"])) == (5, 2)
    assert await _total(client, path, status="pending", limit=2) == (0, False)


async def test_a_narrowed_caller_does_not_learn_how_much_others_have(
    client: Client, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setattr(dead_letter_selection, "READ", 1)
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["lists.>"],
                         retry_policy=ONCE, circuit_breaker=STURDY)  # fmt: skip
    for namespace in ("mine", "theirs", "mine", "mine"):
        sent = event("lists.a", {"namespace": namespace})
        await client.send(sent)
        await client.until("w", sent["id"], "dead_letter")
    key = {"name": "narrow", "scopes": ["events:read", "deliveries:manage"],
           "namespaces": ["mine"]}  # fmt: skip
    made = (await client.http.post("/v1/keys", json=key)).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    for path in ("/v1/events", "/v1/dead-letters"):
        for query in ("?limit=1", ""):
            answer = await client.http.get(path + query, headers=headers)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            whole = page["next"] is None
            expected = (len(page["items"]), False) if whole else (None, True)
            assert (page["total"], page["total_is_estimate"]) == expected, path


async def test_a_list_of_the_newest_first_continues_while_items_are_added(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["lists.>"],
                         retry_policy=ONCE, circuit_breaker=STURDY)  # fmt: skip

    async def die(count: int) -> list[str]:
        sent = [event("lists.a") for _ in range(count)]
        for each in sent:
            await client.send(each)
            await client.until("w", each["id"], "dead_letter")
        return [each["id"] for each in sent]

    ids = await die(5)
    lists = {
        "/v1/dead-letters?webhook=w": "event_id", "/v1/dead-letters": "event_id",
        "/v1/webhooks/w/deliveries": "event_id", "/v1/events": "event",
    }  # fmt: skip

    def named(page: dict[str, Any], member: str) -> list[str]:
        values = [item[member] for item in page["items"]]
        return [value["id"] if isinstance(value, dict) else value for value in values]

    for path, member in lists.items():
        first = await _page(client, path, limit=2)
        assert named(first, member) == ids[:-3:-1], path
        await die(1)
        rest = await _page(client, path, limit=10, cursor=first["next"])
        assert named(rest, member) == ids[-3::-1], path
        assert (rest["next"], rest["total"]) == (None, first["total"] + 1), path
        ids = named(await _page(client, path), member)[::-1]


async def test_a_cursor_of_another_list_or_of_a_former_version_is_named(client: Client) -> None:
    await client.webhook(id="w", url="http://127.0.0.1:8099/", events=["a"])
    for path, former in (
        ("/v1/dead-letters", "Mw=="), ("/v1/rejected", "3"), ("/v1/webhooks/w/deliveries", "Mw=="),
        ("/v1/tokens", "WzEsInQiXQ=="), ("/v1/alerts/silences", "WzEuNSwicyJd"),
        ("/v1/audit-log", "Mw=="), ("/v1/events", "Mw=="), ("/v1/replays", "Mw=="),
    ):  # fmt: skip
        answer = await client.http.get(path, params={"cursor": former})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor"), path
        assert "begin without one" in answer.json()["detail"]
