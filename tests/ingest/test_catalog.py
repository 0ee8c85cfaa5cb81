"""The catalog: events whose data is not valid under the schema of their type."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.client import STRUCTURED, Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.stopping import stop_process

pytestmark = pytest.mark.shared

SCHEMA = {
    "type": "object",
    "required": ["namespace"],
    "properties": {
        "namespace": {"type": "string", "maxLength": 8},
        "changes": {"type": "array", "items": {"$ref": "#/$defs/change"}},
    },
    "$defs": {"change": {"type": "object", "properties": {"lines": {"type": "integer"}}}},
}
GOOD = {"namespace": "customer", "changes": [{"lines": 3}]}
BAD = {"namespace": "customer", "changes": [{"lines": 3}, {"lines": "many"}]}
PATH = "/changes/1/lines"


async def register(client: Client, event_type: str = "user.made", **more: Any) -> dict[str, Any]:
    """Registers an event type with the schema above."""
    body = {"schema": SCHEMA, "enforce": "reject"} | more
    answer = await client.http.put(f"/v1/event-types/{event_type}", json=body)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def rejected(client: Client, count: int) -> list[dict[str, Any]]:
    """Waits for a number of rejected messages, and returns them, the oldest first."""
    async with asyncio.timeout(PATIENCE):
        while True:
            items = (await client.http.get("/v1/rejected")).json()["items"]
            if len(items) >= count:
                return list(items)[::-1]
            await asyncio.sleep(0.05)


async def violations(client: Client) -> dict[tuple[str, str], float]:
    """The metric of violations, by type and ``enforce``."""
    text = (await client.http.get("/metrics")).text
    return {
        (sample.labels["type"], sample.labels["enforce"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "event_gateway_schema_violations_total"
    }


async def test_a_type_is_created_shown_replaced_and_deleted(client: Client) -> None:
    body = {"type": "user.made", "schema": SCHEMA, "description": "A user.", "owner": "people",
            "examples": [GOOD], "dataschema": "https://example.com/user.json"}  # fmt: skip
    answer = await client.http.post("/v1/event-types", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/v1/event-types/user.made"
    created = answer.json()
    assert created | body == created
    assert (created["enforce"], created["in_force"], created["managed_by"]) == (None, "warn", "api")
    assert (await client.http.post("/v1/event-types", json=body)).status_code == 409
    assert (await client.http.get("/v1/event-types/user.made")).json() == created
    # A response can be sent back, and changes nothing.
    same = await client.http.put("/v1/event-types/user.made", json=created)
    assert (same.status_code, same.json()) == (200, created)
    changed = await client.http.put("/v1/event-types/user.made", json=created | {"enforce": "off"})
    assert (changed.status_code, changed.json()["in_force"]) == (200, "off")
    assert changed.json()["created_at"] == created["created_at"] < changed.json()["updated_at"]
    renamed = await client.http.put("/v1/event-types/user.other", json=created)
    assert renamed.status_code == 422
    assert (await client.http.delete("/v1/event-types/user.made")).status_code == 204
    for gone in (client.http.get, client.http.delete):
        assert (await gone("/v1/event-types/user.made")).status_code == 404


async def test_names_that_need_encoding(client: Client) -> None:
    names = ["a/b.c", "Größe.ä", "with space", "...", "a..b.", "=3D", "https://e.com/t?x#y", "%2F"]
    for name in names:
        answer = await client.http.post("/v1/event-types", json={"type": name, "schema": SCHEMA,
                                                                "enforce": "reject"})  # fmt: skip
        assert answer.status_code == 201, answer.text
        shown = await client.http.get(answer.headers["location"])
        assert (shown.status_code, shown.json()["type"]) == (200, name)
        answer = await client.http.post(
            "/v1/events", content=json.dumps(event(name, {})), headers=STRUCTURED
        )
        assert answer.status_code == 422
    for location in [f"/v1/event-types/{name}" for name in ("a%2Fb.c", "...", "with%20space")]:
        assert (await client.http.delete(location)).status_code == 204
    left = (await client.http.get("/v1/event-types")).json()["items"]
    known = {item["type"] for item in left if item["managed_by"] != "gateway"}
    assert known == set(names) - {"a/b.c", "...", "with space"}


async def test_lists_have_pages_and_filter_by_owner(client: Client) -> None:
    for number in range(5):
        await register(client, f"user.t{number}", owner="one" if number % 2 else "two")
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.http.get("/v1/event-types", params=query)).json()
        seen += [item["type"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == sorted(seen)
    assert [name for name in seen if name.startswith("user.")] == [f"user.t{n}" for n in range(5)]
    assert "webhook.succeeded" in seen
    own = (await client.http.get("/v1/event-types", params={"owner": "one"})).json()["items"]
    assert [item["type"] for item in own] == ["user.t1", "user.t3"]
    # Large event types end a page early; none is left out.
    padding = {"schema": {"description": "x" * 250_000}}
    for number in range(20):
        await register(client, f"large.t{number:02}", **padding)
    seen, query = [], {"limit": 1000}
    pages = 0
    while True:
        answer = await client.http.get("/v1/event-types", params=query)
        assert len(answer.content) < 5_000_000
        pages += 1
        seen += [item["type"] for item in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        query["cursor"] = answer.json()["next"]
    assert pages > 1
    assert [item for item in seen if item[:6] == "large."] == [f"large.t{n:02}" for n in range(20)]


@pytest.mark.alone
async def test_over_http_a_violation_is_refused_with_its_path(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await register(client)
    answer = await client.send(event("user.made", BAD), status=422)
    assert (answer["reason"], answer["path"]) == ("schema", PATH)
    assert answer["detail"] == (
        f'the data of user.made at {PATH}: the value is not of type "integer"'
    )
    binary = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "s", "ce-type": "user.made",
              "content-type": "application/json"}  # fmt: skip
    refused = await client.http.post("/v1/events", content=json.dumps({}), headers=binary)
    assert (refused.status_code, refused.json()["path"]) == (422, "")
    # Each invalid event of a batch is named, and none is stored.
    batch = [event("user.made", GOOD), event("user.made", BAD), event("user.other", BAD),
             event("user.made", {"namespace": 7}), event("user.made", GOOD, id="")]  # fmt: skip
    answer = await client.send(batch, status=422)
    assert [(error["index"], error["reason"], error.get("path")) for error in answer["errors"]] == [
        (1, "schema", PATH), (3, "schema", "/namespace"), (4, "invalid", None),
    ]  # fmt: skip
    sent = event("user.made", GOOD)
    await client.send([sent, event("user.other", BAD)])
    await receiver.until(2)
    assert {request.json["id"] for request in receiver.requests} >= {sent["id"]}
    assert len(receiver.requests) == 2
    assert await violations(client) == {("user.made", "reject"): 4}


@pytest.mark.parametrize("data", ["text", "none", "binary"])
async def test_data_is_checked_in_its_json_form(client: Client, data: str) -> None:
    await register(client, schema={"type": ["string", "null"], "maxLength": 3})
    sent = event("user.made")
    long = event("user.made")
    if data == "text":
        sent |= {"datacontenttype": "text/plain", "data": "abc"}
        long |= {"datacontenttype": "text/plain", "data": "abcd"}
    elif data == "none":
        del sent["data"]
        await register(client, "user.more")
        long = event("user.more")
        del long["data"]
    else:
        del long["data"]
        sent |= {"data": "abc"}
        long |= {"datacontenttype": "image/png", "data_base64": "AAAA"}
    await client.send(sent)
    answer = await client.send(long, status=422)
    assert (answer["reason"], answer["path"]) == ("schema", "")


@pytest.mark.alone
async def test_from_nats_a_violation_is_rejected_and_can_be_retried(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await register(client)
    bad, good, object_ = event("user.made", BAD), event("user.made", GOOD), {"namespace": "x" * 9}
    js = client.nats.jetstream()
    await js.publish("user.made", json.dumps(bad).encode())
    await client.nats.publish("user.made", json.dumps(object_).encode())
    await js.publish("user.made", json.dumps(good).encode())
    await receiver.until(1)
    aside = await rejected(client, 2)
    assert [(item["reason"], item["path"]) for item in aside] == [
        ("schema", PATH), ("schema", "/namespace"),
    ]  # fmt: skip
    assert aside[0]["detail"].startswith(f"the data of user.made at {PATH}: ")
    (message, _) = await client.stream_messages("GATEWAY_REJECTED")
    assert (message.subject, message.headers["Eg-Path"]) == ("eg.rejected.schema", PATH)
    assert message.data == json.dumps(bad).encode()
    # While the rule applies it stays rejected; after its removal it can be retried.
    again = await client.http.post(f"/v1/rejected/{aside[0]['seq']}/retry")
    assert (again.status_code, again.json()["path"]) == (422, PATH)
    await register(client, enforce="warn")
    again = await client.http.post(f"/v1/rejected/{aside[0]['seq']}/retry")
    assert again.status_code == 202, again.text
    await receiver.until(2)
    assert [request.json["id"] for request in receiver.requests] == [good["id"], bad["id"]]
    assert len(await rejected(client, 1)) == 1
    assert await violations(client) == {("user.made", "reject"): 3, ("user.made", "warn"): 2}


async def test_warn_accepts_the_event_and_logs_once_a_minute(
    tmp_path: Path, receiver: Receiver
) -> None:
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            await register(client, enforce=None)
            await client.send([event("user.made", BAD) for _ in range(3)])
            for _ in range(3):
                await client.nats.publish("user.made", json.dumps(event("user.made", BAD)).encode())
            await receiver.until(6)
            assert await violations(client) == {("user.made", "warn"): 6}
            await register(client, enforce="off")
            await client.send(event("user.made", BAD))
            await receiver.until(7)
            assert await violations(client) == {("user.made", "warn"): 6}
    finally:
        assert await program.stop() == 0
    assert program.output.count("does not match its schema") == 1
    assert PATH in program.output
    assert "many" not in program.output, "the data is not repeated"


async def test_strict_enforces_unknown_types(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    client = await connect(await start({"catalog": {"strict": True, "enforce": "reject"}}))
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await client.webhook(id="o", url=f"{receiver.url}/o", events=["user.*"], ordered=True)
    await register(client, enforce=None)
    assert (await client.http.put("/v1/event-types/user.free", json={})).status_code == 201
    answer = await client.send(event("user.typo", GOOD), status=422)
    assert "user.typo is not registered" in answer["detail"]
    await client.nats.publish("user.typo", json.dumps(event("user.typo")).encode())
    assert [item["reason"] for item in await rejected(client, 1)] == ["schema"]
    await client.send(event("user.made", BAD), status=422)
    await client.send([event("user.made", GOOD), event("user.free", BAD)])
    await receiver.until(2, "/w")
    await receiver.until(2, "/o")
    assert await violations(client) == {("unregistered", "reject"): 2, ("user.made", "reject"): 1}
    assert {request.json["type"] for request in receiver.requests} == {"user.made", "user.free"}


async def test_a_rejected_event_reaches_no_subscriber_or_webhook(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    """Ordered webhooks, subscribers and replays read the log themselves."""
    client = await connect(await start({"streams": {"live": {"subjects": ["user.*"]}}}))
    await client.webhook(id="o", url=f"{receiver.url}/o", events=["user.*"], ordered=True)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    before = event("user.made", BAD)
    await client.nats.jetstream().publish("user.made", json.dumps(before).encode())
    await receiver.until(1, "/o")
    await receiver.until(1, "/w")
    await register(client)
    bad, good = event("user.made", BAD), event("user.made", GOOD)
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="live")
        for item in (bad, good):
            await client.nats.jetstream().publish("user.made", json.dumps(item).encode())
        assert (await socket.next())["event"]["id"] == good["id"]
    await receiver.until(2, "/o")
    await receiver.until(2, "/w")
    for delivered in (before, good):  # a replay leaves out what has not ended
        await client.until("w", delivered["id"], "succeeded")
    # A replay has what came before the rule, and not what was set aside by it.
    answer = await client.http.post(
        "/v1/replays", json={"webhook": "w", "since": "2020-01-01T00:00:00Z"}
    )
    assert answer.status_code in (200, 201, 202), answer.text
    requests = await receiver.until(4, "/w")
    assert [request.json["id"] for request in requests[2:]] == [before["id"], good["id"]]
    assert bad["id"] not in {request.json["id"] for request in receiver.requests}


@pytest.mark.alone
async def test_a_rule_does_not_apply_to_earlier_events(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    """An accepted event is delivered although its process died before routing it."""
    own = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
    program = Program(tmp_path, LOOPBACK | own)
    redis_pid = int((tmp_path / "servers" / "valkey.pid").read_text())
    at = await program.start()
    try:
        async with connected(at["http"], servers[0], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            stop_process(redis_pid)  # nothing is routed without it
            try:
                over_http, over_nats = event("user.made", BAD), event("user.made", BAD)
                await asyncio.sleep(0.5)
                await client.send(over_http)
                await client.nats.jetstream().publish("user.made", json.dumps(over_nats).encode())
                await register(client)
                await client.send(event("user.made", BAD), status=422)
            finally:
                os.kill(redis_pid, signal.SIGCONT)
            requests = await receiver.until(2)
            assert {request.json["id"] for request in requests} == {
                over_http["id"],
                over_nats["id"],
            }
            assert (await client.http.get("/v1/rejected")).json()["items"] == []
    finally:
        await program.stop()


async def test_a_rule_applies_in_every_process_once_it_is_answered(
    peers: Peers, stack: contextlib.AsyncExitStack
) -> None:
    first, other = await peers.start(stack, {}, {})
    for number in range(10):
        writer, reader = (first, other) if number % 2 else (other, first)
        await register(writer, f"user.t{number}")
        await reader.send(event(f"user.t{number}", BAD), status=422)
        await register(writer, f"user.t{number}", enforce="off")
        await reader.send(event(f"user.t{number}", BAD))
        assert (await writer.http.delete(f"/v1/event-types/user.t{number}")).status_code == 204
        assert (await reader.http.get(f"/v1/event-types/user.t{number}")).status_code == 404


async def test_of_two_requests_for_the_same_type_one_creates_it(
    peers: Peers, stack: contextlib.AsyncExitStack
) -> None:
    clients = await peers.start(stack, {}, {})
    for number in range(10):
        answers = await asyncio.gather(*(
            client.http.post("/v1/event-types", json={"type": f"user.t{number}", "owner": str(at)})
            for at, client in enumerate(clients)
        ))  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        frame = next(item.json()["owner"] for item in answers if item.status_code == 201)
        for client in clients:
            shown = await client.http.get(f"/v1/event-types/user.t{number}")
            assert shown.json()["owner"] == frame


async def test_the_catalog_survives_a_kill_and_a_reload_changes_its_default(tmp_path: Path) -> None:
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await register(client)
            await register(client, "user.default", enforce=None)
        program.kill()
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(event("user.made", BAD), status=422)
            await client.send([event("user.default", BAD), event("user.unknown", BAD)])
            for catalog, default, unknown in (
                ({"enforce": "reject"}, 422, 202),
                ({"enforce": "reject", "strict": True}, 422, 422),
                ({"enforce": "off", "strict": True}, 202, 202),
            ):
                before = len(program.output)
                program.configure(LOOPBACK | {"catalog": catalog})
                os.kill(program.pid, signal.SIGHUP)
                async with asyncio.timeout(PATIENCE):
                    while "configuration reloaded" not in program.output[before:]:
                        await asyncio.sleep(0.02)
                await client.send(event("user.default", BAD), status=default)
                await client.send(event("user.unknown", BAD), status=unknown)
                await client.send(event("user.made", BAD), status=422)
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
