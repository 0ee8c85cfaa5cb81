"""The HTTP binding of CloudEvents, and webhooks in binary mode."""

import asyncio
import json
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.client import BATCH, STRUCTURED, Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared

FOUR = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "user.a"}


async def _raw(gateway: Running, *lines: bytes, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Sends a request with these header lines unchanged; returns status and body."""
    host, _, port = gateway.http_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"X-API-Key: {gateway.admin_key}\r\nContent-Length: {len(body)}\r\n".encode()
    writer.write(head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


_FOUR = [f"{name}: {value}".encode() for name, value in FOUR.items()]


REFUSED_HEADERS: list[tuple[list[bytes], int, str]] = [
    ([b"ce-x: \xff"], 422, "ce-x is not UTF-8"),
    ([b"ce-x: \xed\xa0\x80"], 422, "not UTF-8"),
    ([b"ce-x: %C3"], 422, "does not decode"),
    ([b"ce-x: 100%"], 422, "percent-encoding"),
    ([b"CE-ID: 2"], 422, "ce-id occurs twice"),
    ([b"ce-datacontenttype: a/b"], 422, "Content-Type"),
    ([b"Content-Type: text/plain", b"content-type: text/plain"], 422, "occurs twice"),
    ([b"Content-Type: \xff"], 422, "content-type is not UTF-8"),
    ([b"ce-a_b: x"], 422, "attribute name"),
    ([b"ce-: x"], 422, "attribute name"),
    ([b"ce-time: 2026-02-31T00:00:00Z"], 422, "time"),
    ([b"ce-dataschema: x"], 422, "dataschema"),
    ([b"ce-partitionkey:"], 422, "partitionkey"),
    ([b"ce-data: x"], 422, "the payload is the body"),
    ([b"Content-Type: application/cloudevents+avro"], 415, "send application/cloudevents+json"),
    ([b"Content-Type: application/cloudevents-batch+xml"], 415, "batch+json"),
    ([b"Content-Type: application/cloudevents+json; charset=utf-16"], 415, "utf-16"),
    ([b"Content-Type: application/json"], 400, "application/json but the body is not"),
]


async def test_headers_that_are_refused(gateway: Running, subtests: pytest.Subtests) -> None:
    for lines, status, message in REFUSED_HEADERS:
        with subtests.test(lines=lines, message=message):
            answered, problem = await _raw(gateway, *_FOUR, *lines, body=b"{")
            assert (answered, problem["status"]) == (status, status), problem
            assert message in problem["detail"]


async def test_headers_are_bytes_in_utf8(gateway: Running, client: Client) -> None:
    status, answer = await _raw(
        gateway, *_FOUR, "cE-Subject: Zürich €".encode(), b"Ce-A: %f0%9F%98%80%25",
        b'ce-b: "a \\"b\\" %20\\\\"', b"ce-c:", b"Content-Type: Text/Plain;Charset=UTF-8",
        body="é".encode(),
    )  # fmt: skip
    assert (status, answer["accepted"]) == (202, 1), answer
    *_, message = await client.stream_messages("GATEWAY_EVENTS")
    assert json.loads(message.data) == {
        "specversion": "1.0", "id": "1", "source": "s", "type": "user.a", "subject": "Zürich €",
        "a": "😀%", "b": 'a "b"  \\', "c": "", "datacontenttype": "Text/Plain;Charset=UTF-8",
        "data": "é",
    }  # fmt: skip


async def test_in_structured_mode_only_the_body_counts(client: Client) -> None:
    body = b" \r\n\t" + json.dumps(event("user.a", id="body")).encode() + b"\n"
    for number, media in enumerate(
        ("application/cloudevents", "APPLICATION/CLOUDEVENTS+JSON; charset=UTF-8")
    ):
        sent = body.replace(b"body", b"body%d" % number)
        answer = await client.http.post(
            "/v1/events",
            content=sent,
            headers={"Content-Type": media, "ce-id": "header", "ce-b_": "x"},
        )
        assert answer.json()["items"][0]["id"] == f"body{number}", answer.text
    assert (await client.send([]))["items"] == []
    twice = b"[%b]" % (b'{"specversion":"1.0","id":"1","id":"2","source":"s","type":"user.a"}')
    answer = await client.http.post("/v1/events", content=twice, headers=BATCH)
    assert (answer.status_code, answer.json()["errors"][0]["reason"]) == (422, "invalid")
    answer = await client.http.post("/v1/events", content=twice[1:-1], headers=STRUCTURED)
    assert (answer.status_code, "'id' occurs 2 times" in answer.json()["detail"]) == (422, True)


async def test_a_webhook_in_binary_mode(client: Client, receiver: Receiver) -> None:
    webhook = await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], mode="binary",
        headers={"X-Tenant": "acme"},
    )  # fmt: skip
    assert webhook["mode"] == "binary"
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = event("user.a", {"a": 1}, subject='a "b" 50%é', x=True, n=-5, traceparent=trace,
                 tracestate="a=1,b=2")  # fmt: skip
    del sent["datacontenttype"]
    await client.send(sent)
    (request,) = await receiver.until(1)
    attributes = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert attributes == {
        "ce-specversion": "1.0", "ce-id": sent["id"], "ce-source": "tests", "ce-type": "user.a",
        "ce-time": sent["time"], "ce-subject": "a%20%22b%22%2050%25%C3%A9", "ce-x": "true",
        "ce-n": "-5", "ce-traceparent": trace, "ce-tracestate": "a=1,b=2",
    }  # fmt: skip
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-tenant"] == "acme"
    assert request.headers["tracestate"] == "a=1,b=2"
    assert request.headers["traceparent"][:36] == trace[:36]
    assert request.headers["traceparent"] != trace
    assert request.headers["webhook-id"].startswith("msg_")
    assert request.json["a"] == 1
    assert request.json["enrichment"]["correlation_chain"] == []

    # Without data there is no body, and no content type.
    bare = {name: sent[name] for name in ("specversion", "source", "type")} | {"id": "bare"}
    await client.send(bare)
    request = (await receiver.until(2))[1]
    assert (request.body, request.headers["content-length"], "content-type" in request.headers) == (
        b"", "0", False,
    )  # fmt: skip
    # A payload that is a CloudEvent by its type would be taken for the event itself.
    inner = event("user.a", bare, datacontenttype="application/cloudevents+json")
    await client.send(inner)
    request = (await receiver.until(3))[2]
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert (request.json["id"], request.json["data"]["id"]) == (inner["id"], "bare")
    # Text that its encoding cannot express is a failed transformation of only this event.
    odd = event("user.a", "€", datacontenttype="text/plain; charset=iso-8859-1")
    await client.send(odd)
    record = await client.until("w", odd["id"], "retrying", "dead_letter")
    assert record["last_error"].startswith("TransformationError")


async def test_a_sample_request_and_a_replay_in_binary_mode(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], mode="binary",
                         retry_policy={"max_attempts": 1})  # fmt: skip
    answer = await client.http.post("/v1/webhooks/w/test")
    assert answer.json()["succeeded"] is True
    assert receiver.requests[0].headers["ce-type"] == "user.test"
    assert receiver.requests[0].json == {"test": True}
    receiver.answers["/w"] = [500]
    sent = event("user.a", "plain", datacontenttype="text/plain")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    receiver.answers["/w"] = [200]
    answer = await client.http.post("/v1/dead-letters/replay", json={"all": True})
    assert answer.status_code == 202, answer.text
    request = (await receiver.until(3))[2]
    assert (request.headers["ce-id"], request.headers["content-type"], request.body) == (
        sent["id"], "text/plain", b"plain",
    )  # fmt: skip


async def test_modes_that_are_refused(client: Client) -> None:
    webhook = {"id": "w", "url": "https://example.com/", "events": ["user.*"]}
    for more, text in (
        ({"mode": "avro"}, "'avro' is unknown; there are: batch, binary, structured"),
        ({"mode": "binary", "transformation": "analytics_format"}, "must be standard"),
    ):
        answer = await client.http.post("/v1/webhooks", json=webhook | more)
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert (error["key"], text in error["detail"]) == ("mode", True), error
    assert (await client.webhook(**webhook))["mode"] == "structured"
    answer = await client.http.patch("/v1/webhooks/w", json={"mode": "binary"})
    assert (answer.status_code, answer.json()["mode"]) == (200, "binary")
    answer = await client.http.patch("/v1/webhooks/w", json={"transformation": "analytics_format"})
    assert answer.status_code == 422


async def test_origins_that_may_send_events(start: Start, connect: Start) -> None:
    running = await start({"ingest": {"allowed_origins": ["events.example.com"]}})
    client: Client = await connect(running)
    open_to_all = {"Authorization": ""}

    async def ask(origin: str | None) -> dict[str, str]:
        headers = (
            open_to_all if origin is None else open_to_all | {"WebHook-Request-Origin": origin}
        )
        answer = await client.http.options("/v1/events", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (200, "GET, OPTIONS, POST")
        return {
            name: value for name, value in answer.headers.items() if name.startswith("webhook-")
        }

    agreed = {"webhook-allowed-origin": "events.example.com", "webhook-allowed-rate": "*"}
    assert await ask("events.example.com") == agreed
    for other in (None, "example.com", "Events.Example.com", "events.example.com.", "*", ""):
        assert await ask(other) == {}
    assert (await client.http.put("/v1/events")).status_code == 405
    assert (await client.http.post("/v1/events", headers=open_to_all)).status_code == 401


async def test_any_origin_can_be_allowed(start: Start, connect: Start) -> None:
    running = await start({"ingest": {"allowed_origins": ["a.example", "*"]}})
    client: Client = await connect(running)
    for origin, allowed in (("a.example", "a.example"), ("b.example", "*")):
        answer = await client.http.options("/v1/events", headers={"WebHook-Request-Origin": origin})
        assert answer.headers["webhook-allowed-origin"] == allowed
    no_origin = await client.http.options("/v1/events")
    assert "webhook-allowed-origin" not in no_origin.headers
