"""``GET /v1/deliveries``: the deliveries to all webhooks, by status, type and time."""

from typing import Any

import pytest

from event_gateway.lookup import deliveries
from support.client import Client, event
from support.fixtures import Command
from support.receiver import Receiver

LATER = {"max_attempts": 9, "backoff": "fixed", "initial_delay": "1h"}
STURDY = {"failure_threshold": 10_000}


async def _all(client: Client, path: str = "/v1/deliveries", **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = await client.http.get(path, params=query | more)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        if cursor is None and page["next"] is None:
            assert (page["total"], page["total_is_estimate"]) == (len(page["items"]), False)
        else:
            assert page["total"] is None
        items += page["items"]
        if (cursor := page["next"]) is None:
            return items


def _names(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["webhook_id"], item["event_id"]) for item in items]


async def _world(client: Client, receiver: Receiver) -> dict[str, list[str]]:
    """Three webhooks: one that succeeds, one that is retried, one that is paused."""
    receiver.answers["/bad"] = [500]
    definitions: dict[str, dict[str, Any]] = {
        "good": {"events": ["shop.>"]},
        "bad": {"events": ["shop.order.*"], "retry_policy": LATER, "circuit_breaker": STURDY},
        "paused": {"events": ["shop.user.*"], "enabled": False},
    }
    for webhook, more in definitions.items():
        await client.webhook(id=webhook, url=f"{receiver.url}/{webhook}", **more)
    ids: dict[str, list[str]] = {"order": [], "user": []}
    for n in range(6):
        kind = ("order", "user")[n % 2]
        sent = event(f"shop.{kind}.made")
        await client.send(sent)
        ids[kind].append(sent["id"])
        await client.until("good", sent["id"], "succeeded")
        if kind == "order":
            await client.until("bad", sent["id"], "retrying")
        else:
            await client.until("paused", sent["id"], "pending")
    return ids


async def test_deliveries_to_all_webhooks(
    client: Client, receiver: Receiver, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await _world(client, receiver)
    listed = await _all(client)
    expected = {("good", each) for each in ids["order"] + ids["user"]}
    expected |= {("bad", each) for each in ids["order"]}
    expected |= {("paused", each) for each in ids["user"]}
    assert set(_names(listed)) == expected
    assert len(listed) == len(expected)
    attempted = [item["updated_at"] for item in listed if item["attempts"]]
    assert attempted == sorted(attempted, reverse=True)
    assert [item["webhook_id"] for item in listed[-3:]] == ["paused"] * 3, "never attempted: last"
    assert _names(await _all(client, limit=2)) == _names(listed)

    retrying = await _all(client, status="retrying")
    assert _names(retrying) == [("bad", each) for each in ids["order"]], "as they are attempted"
    pending = await _all(client, status="pending", limit=1)
    assert _names(pending) == [("paused", each) for each in ids["user"]]
    assert await _all(client, status="dead_letter") == []
    some = await _all(client, webhook=["bad", "paused"])
    assert {item["webhook_id"] for item in some} == {"bad", "paused"}
    assert len(some) == 6
    unknown = await client.http.get("/v1/deliveries", params={"webhook": "nobody"})
    assert unknown.status_code == 404

    users = await _all(client, type="shop.user.*")
    assert set(_names(users)) == {(w, e) for w in ("good", "paused") for e in ids["user"]}
    assert _names(await _all(client, type="shop.user.made", limit=1)) == _names(users)
    monkeypatch.setattr(deliveries, "EVENTS_AT_A_TIME", 2)
    monkeypatch.setattr(deliveries, "MAX_EVENTS", 2)
    assert _names(await _all(client, type="shop.user.made", limit=4)) == _names(users)
    middle = listed[4]["updated_at"]
    newer = [item for item in listed if item["updated_at"] >= middle]
    assert _names(await _all(client, since=middle)) == _names(newer)
    older = [item for item in listed if item["updated_at"] < middle]
    assert _names(await _all(client, until=middle)) == _names(older)

    shown = await run("deliveries", "list", "--status", "retrying", "--type", "shop.order.*")
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0][:3] == ["WEBHOOK", "UPDATED", "STATUS"]
    assert [line[4] for line in lines[1:]] == ids["order"]
    of_one = await run("deliveries", "list", "paused", "--json")
    assert _names(of_one.json) == [("paused", each) for each in ids["user"]]


async def test_the_list_of_a_webhook_has_what_was_never_attempted(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"])
    tried = event("a.b")
    await client.send(tried)
    await client.until("w", tried["id"], "succeeded")
    await client.http.patch("/v1/webhooks/w", json={"enabled": False})
    waiting = [event("a.b") for _ in range(5)]
    await client.send(waiting)
    for each in waiting:
        await client.until("w", each["id"], "pending")
    path = "/v1/webhooks/w/deliveries"
    page = (await client.http.get(path)).json()
    assert {item["event_id"] for item in page["items"]} == {
        each["id"] for each in [tried, *waiting]
    }
    assert page["items"][0]["event_id"] == tried["id"]
    assert (page["total"], page["total_is_estimate"], page["next"]) == (6, False, None)
    first = (await client.http.get(path, params={"limit": 2})).json()
    assert (first["total"], first["total_is_estimate"]) == (6, False)


async def test_deliveries_of_ordered_webhooks_are_listed_too(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/bad"] = [500]
    for name in ("bad", "other"):
        await client.webhook(id=name, url=f"{receiver.url}/bad", events=["a.>"], ordered=True,
                             retry_policy=LATER, circuit_breaker=STURDY)  # fmt: skip
    sent = event("a.b")
    await client.send(sent)
    for name in ("bad", "other"):
        await client.until(name, sent["id"], "retrying")
    assert sorted(_names(await _all(client, status="retrying"))) == [
        ("bad", sent["id"]), ("other", sent["id"]),
    ]  # fmt: skip


async def test_a_narrowed_caller_sees_its_own_webhooks(client: Client, receiver: Receiver) -> None:
    key = {"name": "k", "scopes": ["deliveries:read", "webhooks:manage"], "namespaces": ["mine"]}
    made = (await client.http.post("/v1/keys", json=key)).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    body = {"id": "own", "url": f"{receiver.url}/own", "events": ["a.>"]}
    created = await client.http.post("/v1/webhooks", json=body, headers=headers)
    assert created.status_code == 201, created.text
    await client.webhook(id="theirs", url=f"{receiver.url}/theirs", events=["a.>"])
    sent = event("a.b", {"namespace": "mine"})
    await client.send(sent)
    for name in ("own", "theirs"):
        await client.until(name, sent["id"], "succeeded")
    answer = await client.http.get("/v1/deliveries", headers=headers)
    assert _names(answer.json()["items"]) == [("own", sent["id"])]
    refused = await client.http.get("/v1/deliveries", params={"webhook": "theirs"}, headers=headers)
    assert refused.status_code == 404
