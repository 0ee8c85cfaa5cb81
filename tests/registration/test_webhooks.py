"""Webhooks over the API: created, listed, changed, deleted, and what is refused."""

import asyncio
import socket
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Start
from support.receiver import Receiver

pytestmark = pytest.mark.shared


async def test_create_list_show_replace_delete(
    client: Client, receiver: Receiver, gateway: Running
) -> None:
    webhook = await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    assert (webhook["managed_by"], webhook["enabled"]) == ("api", True)
    again = await client.http.post(
        "/v1/webhooks", json={"id": "w", "url": "https://x.y/", "events": ["a"]}
    )
    assert again.status_code == 409
    for name in ("a", "b", "c"):
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["never"])
    page = (await client.http.get("/v1/webhooks", params={"limit": 3})).json()
    assert [item["id"] for item in page["items"]] == ["a", "b", "c"]
    rest = (await client.http.get("/v1/webhooks", params={"cursor": page["next"]})).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["w"], None)
    shown = (await client.http.get("/v1/webhooks/w")).json()
    assert shown | {"warnings": webhook["warnings"]} == webhook

    changed = await client.http.put(
        "/v1/webhooks/w", json={"url": f"{receiver.url}/other", "events": ["user.*"]}
    )
    assert changed.status_code == 200
    await client.send(event("user.a"))
    await receiver.until(1, "/other")
    state = redis.asyncio.from_url(gateway.redis_url)
    assert await state.exists("webhook:w")

    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    events = await client.lifecycle_events(
        6, "webhook.registered", "webhook.updated", "webhook.deleted"
    )
    assert [item["type"] for item in events if item["data"]["webhook_id"] == "w"] == [
        "webhook.registered", "webhook.updated", "webhook.deleted",
    ]  # fmt: skip
    assert (await client.http.get("/v1/webhooks/w")).status_code == 404
    await client.send(event("user.b"))
    # The id is free again, and a new webhook with it gets only later events.
    await client.webhook(id="w", url=f"{receiver.url}/third", events=["user.*"])
    last = event("user.c")
    await client.send(last)
    (request,) = await receiver.until(1, "/third")
    assert request.json["id"] == last["id"]
    assert len(receiver.requests) == 2
    await client.until("w", last["id"], "succeeded")
    assert not await state.exists("queue:w")
    await state.aclose()


async def test_deleting_cancels_pending_deliveries(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                         retry_policy={"initial_delay": "1h"})  # fmt: skip
    sent = event("user.a")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    await client.http.delete("/v1/webhooks/w")
    record = await client.until("w", sent["id"], "cancelled")
    assert record["last_error"] == "webhook deleted"


async def test_deleting_waits_for_running_attempts(client: Client, receiver: Receiver) -> None:
    receiver.holds["/slow"] = deleted = asyncio.Event()
    await client.webhook(
        id="w", url=f"{receiver.url}/slow", events=["user.*"], concurrency=2, timeout="2m"
    )
    sent = [event("user.a") for _ in range(20)]
    await client.send(sent)
    running = {request.json["id"] for request in await receiver.until(2, "/slow")}
    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    deleted.set()
    for item in sent:
        result = "succeeded" if item["id"] in running else "cancelled"
        await client.until("w", item["id"], result)
    assert len(receiver.requests) == 2, "what waited in memory was sent after the deletion"


INVALID_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"url": "ftp://x/"}, "url"),
    ({"url": "http://user:pw@x/"}, "url"),
    ({"events": []}, "events"),
    ({"events": ["a..b"]}, "events"),
    ({"events": ["a.>.b"]}, "events"),
    ({"id": "no spaces"}, "id"),
    ({"transformation": "crm"}, "transformation"),
    ({"timeout": "soon"}, "timeout"),
    ({"evnts": ["x"]}, "evnts"),
    ({"retry_policy": {"max_attempts": 0}}, "max_attempts"),
    ({"filters": [{"field": "data.a", "operator": "near", "value": 1}]}, "operator"),
    ({"headers": {"host": "x"}}, "headers"),
    ({"headers": {"a": "b\r\nc: d"}}, "headers"),
    ({"security": {"auth_type": "bearer_token"}}, "secret_name"),
]


async def test_invalid_webhooks_are_refused(client: Client, subtests: pytest.Subtests) -> None:
    for change, message in INVALID_CHANGES:
        with subtests.test(change=change, message=message):
            body = {"id": "w", "url": "https://example.com/hook", "events": ["user.*"]} | change
            answer = await client.http.post("/v1/webhooks", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert message in answer.json()["detail"]
            assert (await client.http.get("/v1/webhooks")).json()["items"] == []


async def test_webhooks_of_the_file_are_read_only(start: Start, connect: Start) -> None:
    config = {"webhooks": {"f": {"url": "https://example.com/hook", "events": ["a.*"]}}}
    client = await connect(await start(config))
    assert (await client.http.get("/v1/webhooks/f")).json()["managed_by"] == "file"
    assert (await client.http.delete("/v1/webhooks/f")).status_code == 409
    body = {"url": "https://example.com/other", "events": ["a.*"]}
    assert (await client.http.put("/v1/webhooks/f", json=body)).status_code == 409


async def test_filters_namespaces_and_sources(client: Client, receiver: Receiver) -> None:
    conditions: dict[str, dict[str, Any]] = {
        "number": {"filters": [{"field": "data.n", "operator": "equals", "value": 1}]},
        "true": {"filters": [{"field": "data.n", "operator": "equals", "value": True}]},
        "space": {"namespaces": ["customer", "partner"]},
        "source": {"sources": ["crm"]},
        "both": {"namespaces": ["customer"], "sources": ["crm"],
                 "filters": [{"field": "data.n", "operator": "in", "value": [2, 3]}]},
        "not": {"filters": [{"field": "data.namespace", "operator": "not_equals", "value": "x"}]},
    }  # fmt: skip
    for name, condition in conditions.items():
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["load.*"], **condition)
    await client.webhook(id="last", url=f"{receiver.url}/last", events=["load.>"])
    sent = {
        "a": event("load.x", {"n": 1}), "b": event("load.x", {"n": True}),
        "c": event("load.x", {"namespace": "partner", "n": 2}),
        "d": event("load.x", {"namespace": "customer", "n": 3}, source="crm"),
        "e": event("load.x", {"namespace": "x"}), "f": event("load.x.y", {"n": 1}, source="crm"),
    }  # fmt: skip
    await client.send(list(sent.values()))
    await receiver.until(6, "/last")
    for _ in range(2):
        await client.until("both", sent["d"]["id"], "succeeded")
    names = {item["id"]: name for name, item in sent.items()}
    result = {
        name: "".join(
            sorted(names[request.json["id"]] for request in receiver.requests_to(f"/{name}"))
        )
        for name in (*conditions, "last")
    }
    assert result == {"number": "a", "true": "b", "space": "cd", "source": "d", "both": "d",
                   "not": "abcd", "last": "abcdef"}  # fmt: skip


async def test_a_sample_request_shows_the_response(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [202, 503, 410]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*.>"], sources=["crm"],
                         namespaces=["customer"], enabled=False)  # fmt: skip
    answer = await client.http.post("/v1/webhooks/w/test")
    assert answer.status_code == 200, answer.text
    came = answer.json()
    assert (came["succeeded"], came["status_code"], came["error_type"]) == (True, 202, None)
    assert came["response"]["body"] == "answer 202"
    assert (came["event"]["type"], came["event"]["source"]) == ("user.test.test", "crm")
    assert came["event"]["data"] == {"test": True, "namespace": "customer"}
    (request,) = receiver.requests
    assert request.json == came["event"]
    assert came["request"]["body"].encode() == request.body
    assert came["request"]["headers"]["webhook-id"] == request.headers["webhook-id"]
    own = event("user.a", {"n": 1})
    for status in (503, 410):
        came = (await client.http.post("/v1/webhooks/w/test", json={"event": own})).json()
        assert (came["succeeded"], came["status_code"]) == (False, status)
        assert receiver.requests[-1].json == own
    assert (await client.http.get("/v1/webhooks/w")).json()["disabled"] is None
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["attempts"], stats["queue_depth"]) == (0, 0)
    for body in ({}, {"event": {}}, {"event": own, "x": 1}, {"event": [1]}, {"event": None}):
        refused = await client.http.post("/v1/webhooks/w/test", json=body)
        assert refused.status_code == 422, body
    assert (await client.http.post("/v1/webhooks/none/test")).status_code == 404
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        await client.http.patch("/v1/webhooks/w", json={"url": url})
        came = (await client.http.post("/v1/webhooks/w/test")).json()
    assert (came["error_type"], came["response"]) == ("ConnectionRefused", None)
    assert (came["request"]["method"], came["request"]["url"]) == ("POST", url)


async def test_patching(client: Client) -> None:
    webhook = await client.webhook(
        id="w", url="https://example.com/hook", events=["user.*"], headers={"a": "1", "b": "2"},
        metadata={"kept": None}, rate_limit={"events": 5}, retry_policy={"schedule": ["5s", "5m"]},
    )  # fmt: skip
    patch = {"headers": {"a": None, "c": "3"}, "retry_policy": {"max_attempts": 7},
             "rate_limit": None, "concurrency": 3}  # fmt: skip
    changed = (await client.http.patch("/v1/webhooks/w", json=patch)).json()
    assert changed == webhook | {
        "headers": {"b": "2", "c": "3"}, "rate_limit": None, "concurrency": 3,
        "retry_policy": webhook["retry_policy"] | {"max_attempts": 7},
    }  # fmt: skip
    for wrong in ({"id": "v"}, {"url": "ftp://x/"}, {"events": []}, {"evnts": ["a"]},
                  {"retry_policy": {"jitter": 2}}, {"ordered": True}):  # fmt: skip
        refused = await client.http.patch("/v1/webhooks/w", json=wrong)
        assert refused.status_code == 422, wrong
    assert (await client.http.get("/v1/webhooks/w")).json() | {
        "warnings": changed["warnings"]
    } == changed


async def test_a_change_is_answered_with_warnings(client: Client, receiver: Receiver) -> None:
    named = {"auth_type": "bearer_token", "secret_name": "no_such_token"}
    definition = {"id": "w", "url": f"{receiver.url}/w", "events": ["a.b"], "security": named,
                  "retry_policy": "standard"}  # fmt: skip
    created = await client.webhook(**definition)
    (warning,) = created["warnings"]
    assert warning["code"] == "secret_missing"
    assert warning["detail"].startswith("security[0].secret_name: there is no secret no_such_token")
    assert "warnings" not in (await client.http.get("/v1/webhooks/w")).json()
    # An answer can be sent back.
    replaced = await client.http.put("/v1/webhooks/w", json=created)
    assert (replaced.status_code, replaced.json()["warnings"]) == (200, [warning])
    idn = await client.http.patch("/v1/webhooks/w", json={"url": "https://b\u00fccher.example/w"})
    assert idn.json()["url"] == "https://b\u00fccher.example/w"
    assert [each["code"] for each in idn.json()["warnings"]] == [
        "idn_host",
        "secret_missing",
        "host_not_found",
    ]
    assert "to the host xn--bcher-kva.example" in idn.json()["warnings"][0]["detail"]
    changed = await client.http.patch(
        "/v1/webhooks/w", json={"security": [], "url": f"{receiver.url}/w"}
    )
    assert (changed.status_code, changed.json()["warnings"]) == (200, [])
    changed = await client.http.patch("/v1/webhooks/w", json={"retry_policy": None})
    assert [each["code"] for each in changed.json()["warnings"]] == ["short_retries"]
    assert "retry_policy: standard" in changed.json()["warnings"][0]["detail"]
    stream = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["a.b"]})
    assert (stream.status_code, stream.json()["warnings"]) == (201, [])


async def test_the_allowed_address_of_a_name_is_used_and_the_answer_names_the_others(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback is allowed here as 127.0.0.0/8, and localhost is ::1 too on most machines."""
    looked_up = {"localhost": ["::1", "127.0.0.1"], "crm.test": ["::1", "192.168.0.1"]}
    real = socket.getaddrinfo

    def look(host: str, *more: Any, **options: Any) -> Any:
        if host not in looked_up:
            return real(host, *more, **options)
        return [(0, 0, 0, "", (address, 0)) for address in looked_up[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    url = f"{receiver.url}/w".replace("127.0.0.1", "localhost")
    patient = {"retry_policy": "standard"}
    created = await client.webhook(id="w", url=url, events=["user.*"], **patient)
    (warning,) = created["warnings"]
    assert warning["code"] == "addresses_refused"
    assert warning["detail"].startswith("url: localhost: ::1 is in ::/96: unspecified, loopback")
    assert warning["detail"].endswith("are not tried, requests go to 127.0.0.1")
    sent = event("user.a")
    await client.send(sent)
    await receiver.until(1, "/w")
    assert len((await client.until("w", sent["id"], "succeeded"))["attempts"]) == 1
    other = await client.webhook(id="v", url="http://crm.test/", events=["a.b"], **patient)
    plain, refused = other["warnings"]
    assert plain["code"] == "plain_http"
    assert refused["detail"].endswith("requests fail with EgressRefused")
