"""Where an event is, and what became of it: ``GET /v1/events``, and an event sent once more."""

import asyncio
import gc
import json
from typing import Any

import msgspec
import pytest
from nats.js.api import StreamConfig
from redis.asyncio import Redis

from event_gateway.api.routes import dead_letter_of_event
from event_gateway.broker import log_search
from event_gateway.broker.dead_letters import DeadLetterBody, DeadLetterLog, StoredDeadLetter
from event_gateway.broker.pull import Pulled
from event_gateway.cli.process.serve import Running
from event_gateway.lookup import backfill, backward_reading, finder, listing, stream_reader
from event_gateway.replay.resend import Resend
from event_gateway.routing.router import Router
from support.bus import connect_bus
from support.client import Client, event
from support.fixtures import Command, Start
from support.in_process import run_here
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared

LATER = {"max_attempts": 5, "backoff": "fixed", "initial_delay": "1h"}


async def get(client: Client, path: str, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/events{path}", params=query)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def until_copied(client: Client, event_id: str) -> dict[str, Any]:
    """The answer once a named stream has the event, which NATS copies into it after its receipt."""
    async with asyncio.timeout(PATIENCE):
        while not any(each["sequence"] for each in (await get(client, f"/{event_id}"))["streams"]):
            await asyncio.sleep(0.05)
    return await until_routed(client, event_id)


async def until_routed(client: Client, event_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while not (answer := await get(client, f"/{event_id}"))["routed"]:
            await asyncio.sleep(0.05)
    return answer


async def ids(client: Client, **query: Any) -> list[str]:
    """The ids of all pages of a list."""
    found: list[str] = []
    while True:
        page = await get(client, "", **query)
        found += [item["event"]["id"] for item in page["items"]]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


async def test_the_story_of_an_event(start: Start, connect: Start, receiver: Receiver) -> None:
    gateway: Running = await start({"streams": {"kept": {"subjects": ["shop.>"]},
                                                "other": {"subjects": ["user.*"]}}})  # fmt: skip
    client = await connect(gateway)
    receiver.answers["/failing"] = [500]
    url = receiver.url
    webhooks: dict[str, dict[str, Any]] = {
        "fine": {},
        "failing": {
            "retry_policy": LATER, "circuit_breaker": {"failure_threshold": 1, "open_for": "1h"},
        },
        "paused": {"enabled": False},
        "wrongtype": {"events": ["user.*"]},
        "filtered": {"filters": [{"field": "data.n", "operator": "equals", "value": 2}]},
        "expression": {"expression": "event.data.n / 0 > 1"},
        "keyless": {"security": {"auth_type": "bearer_token", "secret_name": "none"}},
        "inorder": {"ordered": True, "enabled": False},
    }  # fmt: skip
    for name, more in webhooks.items():
        await client.webhook(id=name, url=f"{url}/{name}", **{"events": ["shop.>"], **more})
    cause = event("shop.cause", {"n": 1})
    sent = event("shop.paid", {"n": 1}, causationid=cause["id"], subject="orders/7")
    effect = event("shop.effect", {"n": 1}, causationid=sent["id"])
    for each in (cause, sent, effect):
        await client.send(each)
    await client.webhook(id="late", url=f"{url}/late", events=["shop.>"])
    await client.until("fine", sent["id"], "succeeded")
    await client.until("failing", cause["id"], "retrying")
    await client.until("keyless", sent["id"], "pending")

    answer = await until_copied(client, sent["id"])
    assert answer["event"] == sent
    assert (answer["source"], answer["stream"], answer["sequence"]) == (
        "tests", "GATEWAY_EVENTS", 2)  # fmt: skip
    assert (answer["origin"], answer["message"]["subject"]) == ("http", "shop.paid")
    assert [(each["id"], each["by"]) for each in answer["causes"]] == [(cause["id"], "causationid")]
    assert [each["id"] for each in answer["effects"]] == [effect["id"]]
    assert answer["streams"] == [{"name": "kept", "sequence": 2, "reason": None}]
    rows = {row["id"]: row for row in answer["webhooks"]}
    assert [row["matched"] for row in answer["webhooks"]] == [True] * 5 + [False] * 4
    assert answer["matched_count"] == 5
    assert answer["total"] == len(answer["webhooks"])
    assert rows["fine"]["status"] == "succeeded"
    assert rows["fine"]["waits"] == []
    reasons = {name: [wait["reason"] for wait in row.get("waits", ())]
               for name, row in rows.items()}  # fmt: skip
    assert "circuit_breaker_open" in reasons["failing"]
    assert reasons["paused"][0] == "paused"
    assert "secret_missing" in reasons["keyless"]
    assert {"paused", "order"} == set(reasons["inorder"])
    assert rows["inorder"]["status"] is None
    assert rows["wrongtype"]["reason"].startswith("events: ")
    assert rows["filtered"]["reason"].startswith("filters[0]: data.n is 1")
    assert rows["expression"]["reason"].startswith("expression: comes to no value")
    assert rows["late"]["reason"].startswith("registered: ")

    # The request of each attempt, as it was sent.
    shown = await get(client, f"/{sent['id']}", webhook="fine", body="true")
    (request,) = [row["requests"][0]["request"] for row in shown["webhooks"]]
    (received,) = [each for each in receiver.requests
                   if each.path == "/fine" and each.json["id"] == sent["id"]]  # fmt: skip
    assert request["body"] == received.json
    for name in ("webhook-id", "content-type", "x-event-gateway-attempt", "content-length"):
        assert request["headers"][name] == received.headers[name], name
    assert request["url"] == f"{url}/fine"

    await check_resend(client, receiver, sent)


async def check_resend(client: Client, receiver: Receiver, sent: dict[str, Any]) -> None:
    async def resend(status: int = 202, **body: Any) -> dict[str, Any]:
        answer = await client.http.post(f"/v1/events/{sent['id']}/resend", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    planned = await resend(dry_run=True)
    assert {item["webhook_id"]: item["result"] for item in planned["items"]} == {
        "failing": "waiting", "fine": "queued", "inorder": "queued", "keyless": "waiting",
        "late": "queued", "paused": "waiting",
    }  # fmt: skip
    assert (await client.delivery("fine", sent["id"]))["run"] == 1, "nothing was done"
    refused = await resend(422, webhooks=["fine", "filtered"])
    assert refused["errors"][0]["key"] == "webhooks[1]"
    assert (await resend(webhooks=["fine", "late"]))["queued"] == 2
    async with asyncio.timeout(PATIENCE):
        while (again := await client.delivery("fine", sent["id"]))["run"] < 2:
            await asyncio.sleep(0.05)
    assert again["repeats"] == "resend"
    await receiver.until(1, "/late")
    records = (await client.http.get("/v1/audit-log?operation=events.resend")).json()["items"]
    assert {record["resource"] for record in records} == {f"event/{sent['id']}"}


@pytest.mark.alone
async def test_what_is_not_there_is_answered_with_what_was_searched(
    client: Client, receiver: Receiver
) -> None:
    empty = await get(client, "/none", 404)
    assert "GATEWAY_EVENTS is empty" in empty["detail"]
    # Stored before the next one, which comes over another connection.
    js = client.nats.jetstream()
    await js.publish("user.bad", b'{"specversion": "1.0", "id": "rejected-1"}')
    await client.send(event("user.a", id="order-4711-abc"))
    await client.send([event("user.a", id="same", source=source) for source in ("x", "y")])
    await until_routed(client, "same")
    near = await get(client, "/order-4712-abc", 404, type="foo.bar")
    assert near["near"] == ["order-4711-abc"]
    assert near["searched"][0]["first_sequence"] == 1
    assert "no captured subject takes foo.bar" in near["detail"]
    rejected = await get(client, "/rejected-1", 404)
    assert rejected["rejected"][0]["sequence"] == 1
    assert "set aside as rejected" in rejected["detail"]
    # Two sources with the same id are two events.
    assert (await get(client, "/same", source="x"))["sequence"] == 3
    other = await get(client, "/same", source="y")
    assert (other["sequence"], [each["sequence"] for each in other["others"]]) == (4, [])
    assert [each["source"] for each in (await get(client, "/same"))["others"]] == ["x"]
    await get(client, "/same", 404, source="z")
    ambiguous = await client.http.post("/v1/events/same/resend", json={})
    assert ambiguous.status_code == 409, ambiguous.text
    # A copy published again is found with the event that was routed.
    again = {"specversion": "1.0", "id": "twice", "source": "n", "type": "user.a"}
    for _ in range(2):
        await client.nats.publish("user.a", json.dumps(again).encode())
    async with asyncio.timeout(PATIENCE):
        while not (await get(client, "", type="user.a", limit=1))["items"][0]["sequence"] >= 6:
            await asyncio.sleep(0.05)
    twice = await until_routed(client, "twice")
    assert (twice["sequence"], twice["origin"]) == (5, "nats")
    assert [each["sequence"] for each in twice["repeats"]] == [6]
    # What the router has set aside is not routed by a resend either.
    await client.webhook(id="w", url=receiver.url, events=["user.>"])
    await client.http.post("/v1/event-types", json={
        "type": "user.strict", "schema": {"required": ["n"]}, "enforce": "reject"})  # fmt: skip
    bad = again | {"id": "bad", "type": "user.strict", "data": {}}
    await client.nats.publish("user.strict", json.dumps(bad).encode())
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/rejected")).json()["items"][0]["reason"] != "schema":
            await asyncio.sleep(0.05)
    aside = await get(client, "/bad")
    assert (aside["routed"], aside["webhooks"]) == (False, [])
    assert "sets the event aside (schema)" in aside["unknown"][-1]["why"]
    refused = await client.http.post("/v1/events/bad/resend", json={"webhooks": ["w"]})
    assert refused.status_code == 409, refused.text


@pytest.mark.alone
async def test_lists(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_reader, "PASSAGE", 10)
    monkeypatch.setattr(stream_reader, "LEAST", 2)
    monkeypatch.setattr(stream_reader, "GROUP", 2)
    sent = [
        event(f"user.{'rare' if n % 40 == 7 else 'a'}", source="few" if n % 50 == 3 else "many",
              subject=f"s/{n % 60}")
        for n in range(120)
    ]  # fmt: skip
    for part in (sent[:50], sent[50:]):
        await client.send(part)
    await until_routed(client, sent[-1]["id"])

    def expected(**attributes: str) -> list[str]:
        return [each["id"] for each in reversed(sent)
                if all(each[name] == value for name, value in attributes.items())]  # fmt: skip

    assert await ids(client, limit=7) == expected()
    assert await ids(client, type="user.rare", limit=2) == expected(type="user.rare")
    assert await ids(client, type="user.>", limit=50) == expected()
    assert await ids(client, source="few", limit=2) == expected(source="few")
    assert await ids(client, source="many", limit=11) == expected(source="many")
    assert await ids(client, subject="s/59", limit=1) == expected(subject="s/59")
    assert await ids(client, subject="none") == []
    assert await ids(client, type="user.a", source="few", limit=1) == expected(
        type="user.a", source="few")  # fmt: skip
    # New events do not move the pages that follow.
    first = await get(client, "", limit=3)
    await client.send(event("user.a", id="new"))
    second = await get(client, "", limit=3, cursor=first["next"])
    shown = [item["event"]["id"] for item in [*first["items"], *second["items"]]]
    assert shown == expected()[:6]
    middle = (await get(client, f"/{sent[60]['id']}"))["received_at"]
    later, earlier = await ids(client, since=middle), await ids(client, until=middle)
    assert later + earlier == ["new", *expected()]
    assert later[-1] in expected()[:70]
    # A page that has read as much as it may has a next one.
    monkeypatch.setattr(listing, "MAX_READ", 20)
    page = await get(client, "", type="user.a", source="none")
    assert (page["items"], page["next"] is None) == ([], True), "the index says that there is none"
    found = await get(client, "", until=middle, since="2020-01-01T00:00:00Z", limit=1000)
    assert len(found["items"]) < len(earlier)
    assert found["next"] is not None
    assert found["note"].startswith(f"the search ended after {found['read']} messages: ")
    assert f"before {found['items'][-1]['received_at']} were not" in found["note"]
    monkeypatch.undo()
    whole = await get(client, "", limit=1000)
    assert (len(whole["items"]), "note" in whole) == (121, False)
    # So has one that has been read for as long as it may.
    monkeypatch.setattr(stream_reader, "PASSAGE", 10)
    monkeypatch.setattr(listing, "LONGEST", 0.0)
    monkeypatch.setattr(listing, "GRACE", PATIENCE)
    page = await get(client, "", limit=1000)
    assert (len(page["items"]), page["read"]) == (10, 10)
    assert "events that were received before" in page["note"]
    assert await ids(client, limit=1000) == ["new", *expected()]
    # The command goes on for a while, then says what it has not searched.
    where = ("--url", str(client.http.base_url), "--key", client.key)
    listed = await asyncio.to_thread(run_here, "events", "list", "--limit", "50", *where)
    assert (listed.status, len(listed.out.splitlines()), listed.err) == (0, 51, "")
    monkeypatch.setattr("event_gateway.cli.commands.events.LONGEST", 0.0)
    listed = await asyncio.to_thread(run_here, "events", "list", "--limit", "50", *where)
    assert (listed.status, len(listed.out.splitlines())) == (0, 11)
    assert listed.err.startswith("note: the search ended after 10 messages: events that were ")


async def test_several_streams_share_what_a_page_may_read(
    start: Start, connect: Start, servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream with nothing that fits does not use up the time of the others."""
    bus = await connect_bus(servers[0])
    try:
        js = bus.jetstream()
        await js.add_stream(StreamConfig(name="ORDERS", subjects=["orders.>"]))
        config = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
        client = await connect(await start(config | {"ingest": {"streams": ["ORDERS"]}}))
        sent: list[dict[str, Any]] = []
        for part in range(6):
            for kind in ("orders.made", "user.made"):
                sent += [event(kind, id=f"{part}-{kind}-{n}") for n in range(10)]
                for each in sent[-10:]:
                    await js.publish(kind, json.dumps(each).encode())
        newest_first = [each["id"] for each in reversed(sent)]
        assert await ids(client, limit=1000) == newest_first
        assert await ids(client, limit=7) == newest_first
        monkeypatch.setattr(stream_reader, "PASSAGE", 10)
        whole = await get(client, "", limit=1000)
        assert (whole["read"], whole["next"], len(whole["items"])) == (120, None, 120)
        # Each page reads a passage of each stream, and goes on.
        monkeypatch.setattr(listing, "LONGEST", 0.0)
        monkeypatch.setattr(listing, "GRACE", PATIENCE)
        query: dict[str, Any] = {"limit": 1000}
        found: list[str] = []
        pages = 0
        while query.get("cursor", "") is not None:
            page = await get(client, "", **query)
            assert page["read"] <= 20
            found += [item["event"]["id"] for item in page["items"]]
            query["cursor"] = page["next"]
            pages += 1
        assert found == newest_first
        assert pages <= 14, "each page is done with the passage of one stream at least"
        # What NATS does not answer in time is no empty page.
        monkeypatch.setattr(listing, "GRACE", 0.0)
        await get(client, "", 503)
    finally:
        await bus.close()


async def test_the_index_is_not_asked_for_what_the_router_has_not_settled(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a burst that is thousands of events, which a list by source must not leave out."""
    sent = [event("user.a", source="many") for _ in range(20)]
    await client.send(sent)
    await until_routed(client, sent[-1]["id"])
    go_on, route = asyncio.Event(), Router._route

    async def held(router: Router, batch: list[Pulled]) -> None:
        await go_on.wait()
        await route(router, batch)

    monkeypatch.setattr(Router, "_route", held)
    monkeypatch.setattr(stream_reader, "PASSAGE", 10)
    sent = [event("user.a", id=f"n{n}", source="rare" if n == 5 else "many") for n in range(40)]
    await client.send(sent)
    assert await ids(client, source="rare") == ["n5"]
    monkeypatch.setattr(listing, "MAX_READ", 20)
    page = await get(client, "", source="none")
    assert (page["items"], page["read"], "were not searched" in page["note"]) == ([], 20, True)
    go_on.set()
    await until_routed(client, "n39")
    assert await ids(client, source="rare") == ["n5"]


@pytest.mark.alone
async def test_nats_does_not_know_yet_where_a_type_is(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads that after a start, for seconds in a long log: nobody waits for it."""
    monkeypatch.setattr(stream_reader, "PASSAGE", 10)
    monkeypatch.setattr(listing, "MAX_READ", 20)
    monkeypatch.setattr(finder, "MAX_READ", 20)
    monkeypatch.setattr(finder, "NEAR", 10)
    sent = [event(f"user.{'rare' if n % 40 == 7 else 'a'}") for n in range(120)]
    await client.send(sent)
    await until_routed(client, sent[-1]["id"])
    rare = [each["id"] for each in reversed(sent) if each["type"] == "user.rare"]
    at_once = await get(client, "", type="user.rare", limit=1)
    assert (at_once["total"], "note" in at_once) == (3, False)
    monkeypatch.setattr(backward_reading, "SUBJECT_WAIT", 0.0)
    page = await get(client, "", type="user.rare")
    assert [item["event"]["id"] for item in page["items"]] == rare[: len(page["items"])]
    assert (page["total"], page["next"] is None) == (None, False)
    assert 0 < page["read"] < 120
    assert "NATS is loading" in page["note"]
    assert await ids(client, type="user.rare") == rare
    assert await ids(client, type="user.rare", limit=1) == rare
    await asyncio.gather(*(client.http.get("/v1/events?type=user.rare") for _ in range(20)))
    monkeypatch.undo()
    assert await ids(client, type="user.rare") == rare


async def test_events_that_the_index_does_not_have(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "LOOK", 0.05)
    monkeypatch.setattr(backfill, "PART", 4)
    monkeypatch.setattr(finder, "PASSAGE", 10)
    gateway: Running = await start()
    client = await connect(gateway)
    sent = [event("user.a", source="s", subject="x") for _ in range(50)]
    await client.send(sent)
    await until_routed(client, sent[-1]["id"])
    async with Redis.from_url(gateway.redis_url) as redis:
        # As an earlier version leaves it: events in the log, and none in the index.
        gateway.gateway.stages.lookup.backfill._leads = lambda: False
        keys = [key async for key in redis.scan_iter("found:*")]
        await redis.delete("indexed_from", *keys)
        monkeypatch.setattr(finder, "MAX_READ", 20)
        monkeypatch.setattr(finder, "NEAR", 10)
        async with asyncio.timeout(PATIENCE):  # until the router's acknowledgements have arrived
            while (
                "not routed yet"
                in (beyond := await get(client, f"/{sent[0]['id']}", 404))["detail"]
            ):
                await asyncio.sleep(0.05)
        assert "not indexed yet" in beyond["detail"]
        assert (await get(client, f"/{sent[45]['id']}"))["sequence"] == 46, "it is read"
        gateway.gateway.stages.lookup.backfill._leads = lambda: True
        async with asyncio.timeout(PATIENCE):
            while await redis.hget("indexed_from", "GATEWAY_EVENTS") != b"1":
                await asyncio.sleep(0.05)
        # Entries stay for as long as the log keeps their events.
        index = gateway.gateway.stages.adapters.event_index
        key = await anext(redis.scan_iter("*found:*"))
        ends, retention = await redis.pexpiretime(key), index.kept("GATEWAY_EVENTS")
        index.set_retention(retention + 86400)
        async with asyncio.timeout(PATIENCE):
            while await redis.pexpiretime(key) != ends + 86_400_000:
                await asyncio.sleep(0.05)
        index.set_retention(retention)
    assert (await get(client, f"/{sent[0]['id']}"))["sequence"] == 1
    assert len(await ids(client, subject="x")) == 50


@pytest.mark.alone
async def test_commands(client: Client, receiver: Receiver, run: Command) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await client.webhook(id="v", url=f"{receiver.url}/v", events=["other"])
    for event_id in ("one/1", "two"):
        await client.send(event("user.a", id=event_id, subject="s"))
        await client.until("w", event_id, "succeeded")
    await until_routed(client, "two")
    listed = await run("events", "list", "--type", "user.*", "--limit", "1")
    assert listed.out.splitlines()[1].split()[1:] == ["2", "user.a", "two", "tests", "s", "http"]
    shown = await run("events", "show", "one/1")
    assert shown.status == 0, shown
    for line in ("place:        GATEWAY_EVENTS 1", "routed:       yes",
                 'v        not matched  -         events: no pattern fits the type "user.a"',
                 "w        succeeded    1         -"):  # fmt: skip
        assert line in shown.out.splitlines(), shown.out
    request = await run("events", "show", "two", "--webhook", "w", "--body")
    assert f"  POST {receiver.url}/w" in request.out
    assert '"id": "two"' in request.out, request.out
    resent = await run("events", "resend", "two", "--webhook", "w")
    assert resent.out.splitlines()[0] == "two (tests): 1 queued"
    await receiver.until(3, "/w")
    gone = await run("events", "show", "three")
    gone.assert_refused(1, "there is no event three in the log")


async def test_what_the_log_has_lost_is_resent_from_its_dead_letters(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.answers["/dead"] = [500, 200]
    for name in ("dead", "fine"):
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.a"],
                             retry_policy={"max_attempts": 1})  # fmt: skip
    sent = event("user.a", {"n": 1})
    await client.send(sent)
    await client.until("dead", sent["id"], "dead_letter")
    await client.until("fine", sent["id"], "succeeded")
    await client.nats.jetstream().purge_stream("GATEWAY_EVENTS")

    async def resend(status: int = 202, **body: Any) -> dict[str, Any]:
        answer = await client.http.post(f"/v1/events/{sent['id']}/resend", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    lacking = await resend(409, webhooks=["dead", "fine"])
    assert "no dead letter of it for: fine" in lacking["detail"]
    await resend(404, source="other")
    planned = await resend(dry_run=True)
    assert planned["items"] == [{"webhook_id": "dead", "result": "queued", "detail": None}]
    assert (await resend())["queued"] == 1
    again = await client.until("dead", sent["id"], "succeeded")
    assert (again["run"], again["repeats"]) == (2, "resend")
    assert receiver.requests_to("/dead")[-1].json["data"]["n"] == 1
    # The records of ended deliveries expire before their dead letters.
    async with Redis.from_url(gateway.redis_url) as redis:
        await redis.delete(f"delivery:dead:{sent['id']}")
    assert (await resend(webhooks=["dead"], source=sent["source"]))["queued"] == 1
    await client.until("dead", sent["id"], "succeeded")
    assert len(receiver.requests_to("/dead")) == 3


async def test_a_webhook_whose_record_has_expired_is_resent_from_its_dead_letter(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.answers["/"] = [500, 500, 200]
    for name in ("a", "b"):
        await client.webhook(id=name, url=f"{receiver.url}/", events=["user.a"],
                             retry_policy={"max_attempts": 1})  # fmt: skip
    sent = event("user.a")
    await client.send(sent)
    for name in ("a", "b"):
        await client.until(name, sent["id"], "dead_letter")
    await client.nats.jetstream().purge_stream("GATEWAY_EVENTS")
    async with Redis.from_url(gateway.redis_url) as redis:
        await redis.delete(f"delivery:a:{sent['id']}")
    for body in ({"webhooks": ["a", "b"], "dry_run": True}, {}):
        answer = await client.http.post(f"/v1/events/{sent['id']}/resend", json=body)
        assert answer.status_code == 202, answer.text
        assert [item["webhook_id"] for item in answer.json()["items"]] == ["a", "b"]
    for name in ("a", "b"):
        await client.until(name, sent["id"], "succeeded")


async def test_a_resend_from_dead_letters_holds_few_of_them(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers["/"] = [500]
    for name in ("a", "b"):
        await client.webhook(id=name, url=f"{receiver.url}/", events=["user.a"],
                             retry_policy={"max_attempts": 1})  # fmt: skip
    sent = event("user.a", {"n": 1})
    await client.send(sent)
    for name in ("a", "b"):
        await client.until(name, sent["id"], "dead_letter")
    jetstream = client.nats.jetstream()
    for _ in range(20):
        other = DeadLetterBody(
            webhook_id="a", url="http://127.0.0.1/", reason="ServerError", attempts=[],
            stream="GATEWAY_EVENTS", seq=9, run=1, time="2026-01-01T00:00:00Z",
            event=msgspec.Raw(msgspec.json.encode(event("user.a"))),
        )  # fmt: skip
        await jetstream.publish("eg.dead.a", msgspec.json.encode(other))
    await jetstream.purge_stream("GATEWAY_EVENTS")
    held: list[int] = []
    resent: list[StoredDeadLetter] = []
    latest, resend = DeadLetterLog.latest, Resend.resend_dead_letters

    async def counted(*arguments: Any, **options: Any) -> Any:
        held.append(sum(isinstance(each, StoredDeadLetter) for each in gc.get_objects()))
        return await latest(*arguments, **options)

    async def noted(self: Resend, webhooks: Any, dead_letters: Any) -> Any:
        resent.extend(dead_letters.values())
        return await resend(self, webhooks, dead_letters)

    monkeypatch.setattr(DeadLetterLog, "latest", counted)
    monkeypatch.setattr(Resend, "resend_dead_letters", noted)
    monkeypatch.setattr(dead_letter_of_event, "READ", 4)
    answer = await client.http.post("/v1/events/none/resend", json={})
    assert answer.status_code == 404, answer.text
    assert len(held) > 3, held
    assert max(held) - held[0] <= 1, held
    answer = await client.http.post(f"/v1/events/{sent['id']}/resend", json={})
    assert answer.json()["queued"] == 2, answer.text
    assert len({id(each.event) for each in resent}) == 1
    assert {bytes(each.body.event) for each in resent} == {b"null"}


async def test_few_searches_read_the_log_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.send(event("user.a"))
    running = most = 0
    read_back = log_search.read_back

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await read_back(*arguments, **options)
        finally:
            running -= 1

    monkeypatch.setattr(finder, "read_back", counted)
    monkeypatch.setattr(backward_reading, "read_back", counted)
    answers = await asyncio.gather(*(client.http.get(f"/v1/events/none-{n}") for n in range(20)))
    assert {answer.status_code for answer in answers} == {404}
    assert 1 <= most <= finder.MAX_SEARCHES
    monkeypatch.setattr(finder, "MAX_WAIT", 0.0)
    answers = await asyncio.gather(*(client.http.get(f"/v1/events/none-{n}") for n in range(20)))
    assert {answer.status_code for answer in answers} <= {404, 503}
