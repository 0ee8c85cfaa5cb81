"""The audit log: every route that changes something writes a record before and after it."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.routing import APIRoute
from nats.js.errors import APIError

from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.cli.process.serve import Running
from event_gateway.core.audit.chain import ChainCheck
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver
from support.routes import operations_of, routes_of

AUDIT = "GATEWAY_AUDIT"
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
# These change nothing, or take in events.
NOT_AUDITED = {
    "POST /v1/events",
    "POST /v1/expressions/evaluate",
    "POST /v1/sources/{name}",
    "POST /v1/sources/{name}/test",
    "POST /v1/transformations/preview",
    "POST /v1/webhooks/check",
    "POST /v1/webhooks/match",
}


PUBLIC = {
    "GET /.well-known/webhook-keys.json", "GET /docs", "GET /docs/{name}",
    "GET /problems/{code}",  # what a type of problem means
    "GET /healthz", "GET /readyz",
    "GET /v1/ws",  # says that it is for WebSocket
    "OPTIONS /v1/events", "OPTIONS /v1/sources/{name}",  # the CloudEvents handshake
    "POST /v1/sources/{name}",  # a third party proves itself to the source
}  # fmt: skip


async def test_every_route_that_changes_something_is_audited(gateway: Running) -> None:
    """A new route declares ``call: Annotated[Call, audited(…)]``; one that changes nothing is
    named in NOT_AUDITED."""
    not_audited, operations = set(), []
    for route in routes_of(gateway.gateway.asgi.app):
        for method in CHANGING & set(route.methods or ()):
            if isinstance(route, GuardedRoute) and route.audited is not None:
                operations.append(route.audited.operation)
            else:
                not_audited.add(f"{method} {route.path}")
    assert not_audited == NOT_AUDITED
    assert len(operations) >= 25
    assert len(operations) == len(set(operations))
    assert any(isinstance(route, APIRoute) for route in routes_of(gateway.gateway.asgi.app))


async def test_no_route_answers_a_stranger_but_these(gateway: Running, client: Client) -> None:
    answered = set()
    for method, path in operations_of(gateway.gateway.asgi.app):
        url = re.sub(r"\{[^}]+\}", "x", path)
        answer = await client.http.request(method, url, headers={"Authorization": ""})
        if answer.status_code != 401:
            answered.add(f"{method} {path}")
    assert answered == PUBLIC
    assert (await client.http.get("/v1/none", headers={"Authorization": ""})).status_code == 401


async def _calls(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = await client.http.get("/v1/audit-log", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_changes_are_recorded_with_who_what_and_when(
    client: Client, receiver: Receiver
) -> None:
    http = client.http
    secret = "canary-" + "z" * 24
    await client.webhook(
        id="crm", url=f"{receiver.url}/x?token={secret}", events=["a.>"],
        headers={"X-Key": secret}, metadata={"login": secret},
    )  # fmt: skip
    sane = {"X-Request-Id": "order-17"}
    changed = await http.patch("/v1/webhooks/crm", json={"timeout": "9s"}, headers=sane)
    assert changed.headers["x-request-id"] == "order-17"
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    odd = {"X-Request-Id": "a b", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    refused = await http.patch("/v1/webhooks/none", json={}, headers=odd)
    assert (refused.status_code, refused.headers["x-request-id"]) == (404, trace)
    assert (await http.put(f"/v1/secrets/{secret}!", json={"value": secret})).status_code == 422
    assert (await http.put("/v1/secrets/token", json={"value": secret})).status_code == 201
    invalid = await http.post(
        "/v1/webhooks", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (invalid.status_code, len(invalid.headers["x-request-id"])) == (400, 32)
    wrong = {"Authorization": "Bearer wrong"}
    assert (await http.delete("/v1/webhooks/crm", headers=wrong)).status_code == 401
    assert (await http.get("/v1/webhooks", headers=wrong)).status_code == 401
    assert (await http.delete("/v1/webhooks/crm")).status_code == 204

    async with asyncio.timeout(PATIENCE):  # refusals are written after their answer
        while len(calls := await _calls(client)) < 9:
            await asyncio.sleep(0.05)
    shown = [
        (call["operation"], call["resource"], call["outcome"], call["status"])
        for call in reversed(calls)
    ]
    assert shown == [
        ("webhooks.create", "webhook/crm", "succeeded", 201),
        ("webhooks.change", "webhook/crm", "succeeded", 200),
        ("webhooks.change", "webhook/none", "refused", 404),
        ("secrets.set", "secret/(no name)", "refused", 422),
        ("secrets.set", "secret/token", "succeeded", 201),
        ("webhooks.create", "webhook", "refused", 400),
        ("webhooks.delete", "webhook/crm", "refused", 401),
        ("GET /v1/webhooks", None, "refused", 401),
        ("webhooks.delete", "webhook/crm", "succeeded", 204),
    ]
    by_status = {call["status"]: call for call in calls}
    patch = by_status[200]
    assert (patch["before"], patch["after"]) == ({"timeout": "15s"}, {"timeout": "9s"})
    assert (patch["request_id"], patch["client"]) == ("order-17", "127.0.0.1")
    assert patch["principal"]["name"] == "admin"
    assert patch["time"] <= patch["ended_at"]
    assert by_status[401]["principal"] is None
    assert by_status[204]["before"]["timeout"] == "9s"
    stored = b"".join(message.data for message in await client.stream_messages(AUDIT))
    assert secret.encode() not in stored
    assert client.key.encode() not in stored

    for query, count in (
        ({"operation": "webhooks"}, 6), ({"operation": "secrets.set"}, 2),
        ({"resource": "webhook/crm"}, 4), ({"resource": "secret"}, 2), ({"principal": "admin"}, 7),
        ({"outcome": "refused"}, 5), ({"outcome": "401"}, 2), ({"outcome": "unknown"}, 0),
        ({"since": "2020-01-01T00:00:00Z"}, 9), ({"until": "2020-01-01T00:00:00Z"}, 0),
        ({"since": "2120-01-01T00:00:00Z"}, 0), ({"limit": 4}, 4),
    ):  # fmt: skip
        assert len(await _calls(client, **query)) == count, query
    for query in ({"outcome": "maybe"}, {"princpal": "admin"}, {"since": "yesterday"}):
        assert (await http.get("/v1/audit-log", params=query)).status_code == 422

    paged, cursor = [], None
    while True:
        page = (await http.get(
            "/v1/audit-log", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        )).json()  # fmt: skip
        paged += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == calls

    exported = await http.get("/v1/audit-log/export")
    check = ChainCheck()
    for line in exported.content.splitlines():
        check.add(line)
    assert (check.records, check.problems) == (15, [])
    some = await http.get("/v1/audit-log/export", params={"operation": "secrets"})
    assert len(some.content.splitlines()) == 4


async def test_nobody_deletes_or_purges_records(client: Client) -> None:
    await client.http.delete("/v1/webhooks/none")
    js = client.nats.jetstream()
    for attempt in (js.purge_stream(AUDIT), js.delete_msg(AUDIT, 1)):
        with pytest.raises(APIError):
            await attempt
    config = (await js.stream_info(AUDIT)).config
    with pytest.raises(APIError):
        await js.update_stream(config.evolve(deny_delete=False, deny_purge=False))
    assert len(await client.stream_messages(AUDIT)) == 2
    assert config.max_age == 400 * 86400


async def test_a_deleted_log_is_created_again_and_says_so(gateway: Running, client: Client) -> None:
    await client.http.delete("/v1/webhooks/none")
    async with asyncio.timeout(PATIENCE):
        while AUDIT not in gateway.gateway._upkeep._created:  # it has been seen
            await asyncio.sleep(0.02)
        await client.nats.jetstream().delete_stream(AUDIT)
        while True:
            answer = await client.http.get("/v1/audit-log")
            if answer.status_code == 200 and answer.json()["items"]:
                break
            await asyncio.sleep(0.05)
    (call,) = answer.json()["items"]
    assert (call["operation"], call["principal"]["method"]) == ("audit-log.recreated", "gateway")
    assert call["number"] == 3  # the numbers go on, and show that two are lost
    deleted = await client.http.delete("/v1/webhooks/none")
    assert deleted.status_code == 404


async def test_a_follower_gets_each_record_and_resumes(client: Client) -> None:
    await client.http.delete("/v1/webhooks/none")
    head = {"Last-Event-ID": "1"}
    async with asyncio.timeout(PATIENCE), client.http.stream(
        "GET", "/v1/audit-log/sse", headers=head
    ) as answer:  # fmt: skip
        lines = answer.aiter_lines()
        assert [record["phase"] for record in [await _next(lines)]] == ["ended"]
        await client.http.delete("/v1/webhooks/other")
        records = [await _next(lines), await _next(lines)]
    assert [(record["phase"], record["resource"]) for record in records] == [
        ("begun", "webhook/other"), ("ended", "webhook/other")
    ]  # fmt: skip
    assert (await client.http.get(
        "/v1/audit-log/sse", headers={"Last-Event-ID": "x"}
    )).status_code == 422  # fmt: skip


async def _next(lines: Any) -> Mapping[str, Any]:
    async for line in lines:
        if line.startswith("data: "):
            return dict(json.loads(line.removeprefix("data: ")))
    raise AssertionError("the stream ended")


async def test_changes_of_the_file_and_of_the_gateway_are_recorded(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    receiver.answers["/gone"] = [410]
    running = await start({
        "webhooks": {"gone": {"url": f"{receiver.url}/gone", "events": ["a.>"]}},
        "streams": {"s": {"subjects": ["a.>"]}},
    })  # fmt: skip
    client = await connect(running)
    await client.send(event("a.b"))
    async with asyncio.timeout(PATIENCE):
        while not (
            disabled := await _calls(client, operation="webhooks.disable", outcome="succeeded")
        ):
            await asyncio.sleep(0.05)
    assert disabled[0]["principal"]["method"] == "gateway"
    assert disabled[0]["after"]["disabled"]["reason"]
    by_file = {
        (call["operation"], call["resource"]): call
        for call in await _calls(client, principal="configuration file")
    }
    assert by_file.keys() == {("streams.create", "stream/s"), ("webhooks.create", "webhook/gone")}
    assert all(call["outcome"] == "succeeded" for call in by_file.values())


async def test_a_flood_of_refused_calls_does_not_fill_the_log(start: Start, connect: Start) -> None:
    client = await connect(await start({"auth": {"failed_logins": {"limit": 1000}}}))
    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(8):
        await asyncio.gather(
            *(client.http.delete("/v1/webhooks/w", headers=wrong) for _ in range(25))
        )
    weak = {"name": "weak", "scopes": ["webhooks:manage"]}
    key = (await client.http.post("/v1/keys", json=weak)).json()
    for path in ("/v1/audit-log", "/v1/audit-log/export", "/v1/audit-log/sse"):
        answer = await client.http.get(path, headers={"Authorization": f"Bearer {key['key']}"})
        assert answer.status_code == 403, path
    await client.http.delete("/v1/webhooks/none")
    async with asyncio.timeout(PATIENCE):  # strangers do not hide what known callers are refused
        while len(forbidden := await _calls(client, outcome="403")) < 3:
            await asyncio.sleep(0.05)
    assert {call["principal"]["id"] for call in forbidden} == {key["id"]}
    (last, *_) = calls = await _calls(client, limit=1000)
    refused = [call for call in calls if call["status"] == 401]
    assert 60 <= len(refused) < 150
    assert sum(call["unrecorded"] for call in calls) + len(refused) == 200
    assert last["status"] == 404


async def test_a_page_of_large_records_leaves_none_out(gateway: Running, client: Client) -> None:
    """NATS sends at most 16 MiB of them at a time."""
    js = gateway.gateway.stages.adapters.broker.js
    before = len(await _calls(client, limit=1000))
    text = "x" * 900_000
    for number in range(25):
        record = {"v": 1, "call": f"large-{number}", "phase": "refused", "process": "p",
                  "time": "2026-05-04T03:02:01.000Z", "number": number,
                  "operation": "webhooks.create",
                  "after": {"description": text}}  # fmt: skip
        await js.publish("eg.audit.refused", json.dumps(record).encode(), stream=AUDIT)
    calls = await _calls(client, limit=1000)
    assert len(calls) == before + 25
    assert [call["id"] for call in calls[:25]] == [f"large-{n}" for n in range(24, -1, -1)]
