"""The intake: events over HTTP in three modes, over NATS in any shape, and invalid input."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.client import BATCH, STRUCTURED, Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared


@pytest.mark.alone  # it looks at the whole log
async def test_structured_binary_and_batched(client: Client) -> None:
    sent = event("user.created")
    assert await client.send(sent) == {
        "accepted": 1, "duplicates": 0,
        "items": [{"id": sent["id"], "sequence": 1, "duplicate": False}],
    }  # fmt: skip
    answer = await client.http.post(
        "/v1/events", content=b'{"a": 1}',
        headers={"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/s", "ce-type": "user.made",
                 "ce-subject": "Z%C3%BCrich", "content-type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["items"][0]["sequence"]) == (202, 2)
    batch = [event("user.created"), event("user.deleted")]
    assert (await client.send(batch))["accepted"] == 2
    stored = [
        json.loads(message.data) for message in await client.stream_messages("GATEWAY_EVENTS")
    ]
    assert stored[0] == sent
    assert stored[1] == {
        "specversion": "1.0", "id": "b1", "source": "/s", "type": "user.made", "subject": "Zürich",
        "datacontenttype": "application/json", "data": {"a": 1},
    }  # fmt: skip
    assert stored[2:] == batch


@pytest.mark.alone  # it looks at the whole log
async def test_nats_subjects_of_events_over_http(client: Client) -> None:
    for event_type in ("ontology.schema.created", "billing.paid", "com.acme.new order"):
        await client.send(event(event_type))
    subjects = [message.subject for message in await client.stream_messages("GATEWAY_EVENTS")]
    assert subjects == [
        "ontology.schema.created", "events.billing.paid", "events.com.acme.new%20order",
    ]  # fmt: skip


async def test_duplicates_are_known_by_source_and_id(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = event("user.created")
    other = sent | {"source": "another"}
    first = await client.send(sent)
    assert first["duplicates"] == 0
    again = await client.send(sent)
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    sequence = first["items"][0]["sequence"]
    assert again["items"] == [{"id": sent["id"], "sequence": sequence, "duplicate": True}]
    mixed = await client.send([sent, other])
    assert [item["duplicate"] for item in mixed["items"]] == [True, False]
    # The same id from another source is another event, with a record of its own.
    requests = await receiver.until(2)
    assert {item.json["source"] for item in requests} == {"tests", "another"}
    for source in ("tests", "another"):
        record = await client.until("w", sent["id"], "succeeded", source=source)
        assert record["source"] == source


INVALID_INPUT: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"{", STRUCTURED, 400, "not a JSON object"),
    (b"[]", STRUCTURED, 400, "not a JSON object"),
    (b'{"id": "1", "source": "s", "type": "t"}', STRUCTURED, 422, "specversion"),
    (b'{"specversion": "0.3", "id": "1", "source": "s", "type": "t"}', STRUCTURED, 415, "0.3"),
    (b'{"specversion": "1.0", "source": "s", "type": "t"}', STRUCTURED, 422, "id is missing"),
    (b'{"specversion": "1.0", "id": 7, "source": "s", "type": "t"}', STRUCTURED, 422, "string"),
    (
        b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": "noon"}',
        STRUCTURED,
        422,
        "RFC 3339",
    ),
    (
        b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "Bad_Name": "x"}',
        STRUCTURED,
        422,
        "Bad_Name",
    ),
    (
        b'{"specversion": "1.0", "id": "1", "source": "s", "type": "webhook.failed"}',
        STRUCTURED,
        403,
        "webhook.",
    ),
    (
        b'{"specversion": "1.0", "id": "1", "source": "event-gateway", "type": "t"}',
        STRUCTURED,
        403,
        "event-gateway",
    ),
    (b"<a/>", {"Content-Type": "application/cloudevents+xml"}, 415, "xml"),
    (b"[1]", BATCH, 422, "1 of 1"),
    (b"x" * (1024 * 1024 + 1), STRUCTURED, 413, "1048576"),
]


async def _last_sequence(client: Client) -> int:
    """That of the newest event in the log."""
    return (await client.nats.jetstream().stream_info("GATEWAY_EVENTS")).state.last_seq


async def test_invalid_input_is_answered_with_a_problem(
    client: Client, subtests: pytest.Subtests
) -> None:
    before = await _last_sequence(client)
    for body, headers, status, message in INVALID_INPUT:
        with subtests.test(headers=headers, message=message):
            answer = await client.http.post("/v1/events", content=body, headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert (problem["status"], problem["title"] != "") == (status, True)
            assert message in problem["detail"]
            assert await _last_sequence(client) == before


async def test_a_batch_is_accepted_whole_or_not_at_all(client: Client) -> None:
    batch = [event("user.a"), {"specversion": "1.0"}, event("webhook.failed")]
    before = await _last_sequence(client)
    problem = await client.send(batch, status=422)
    assert [(error["index"], error["reason"]) for error in problem["errors"]] == [
        (1, "invalid"), (2, "reserved"),
    ]  # fmt: skip
    assert await _last_sequence(client) == before


async def test_a_key_is_required(client: Client) -> None:
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "", "X-API-Key": "no"}):
        for method, path in (("POST", "/v1/events"), ("GET", "/v1/webhooks"), ("GET", "/metrics")):
            answer = await client.http.request(method, path, headers=headers)
            assert answer.status_code == 401, path
            assert "www-authenticate" in answer.headers
    answer = await client.http.get(
        "/v1/webhooks", headers={"Authorization": "", "X-API-Key": client.key}
    )
    assert answer.status_code == 200
    assert (await client.http.get("/healthz", headers={"Authorization": ""})).status_code == 200


@pytest.mark.alone  # it looks at all rejected input
async def test_messages_that_are_not_events_are_rejected_input(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*", "webhook.*"])
    bad = {
        b"not json \xff": "malformed", b"[1, 2]": "malformed", b"7": "malformed", b"": "malformed",
        b'{"specversion": "1.0", "id": "1", "type": "user.x"}': "invalid",
        b'{"specversion": "2.0", "id": "1", "source": "s", "type": "user.x"}': "unsupported",
        # Publishers on NATS cannot forge lifecycle events either.
        b'{"specversion": "1.0", "id": "1", "source": "s", "type": "webhook.failed"}': "reserved",
        b'{"specversion": "1.0", "id": "1", "source": "event-gateway", "type": "user.x"}':
            "reserved",
    }  # fmt: skip
    for body in bad:
        await client.nats.publish("user.x", body, headers={"X-Trace": "7"})
    good = event("user.x")
    await client.nats.publish("user.x", json.dumps(good).encode())
    # The events that the webhook gets are this one, and those that the gateway publishes about it.
    requests: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while good["id"] not in [request.json["id"] for request in requests]:
            requests = await receiver.until(len(requests) + 1)
    about = {request.json["source"] for request in requests if request.json["id"] != good["id"]}
    assert about <= {"event-gateway"}
    messages = await client.stream_messages("GATEWAY_REJECTED")
    assert [(item.data or b"", item.subject) for item in messages] == [
        (body, f"eg.rejected.{reason}") for body, reason in bad.items()
    ]
    for sequence, item in enumerate(messages, 1):
        assert item.headers["Eg-Subject"] == "user.x"
        assert item.headers["Eg-Sequence"] == str(sequence)
        assert item.headers["Eg-Header-X-Trace"] == "7"
        assert item.headers["Eg-Detail"]
    metrics = (await client.http.get("/metrics")).text
    assert 'event_gateway_events_rejected_total{reason="malformed"} 4.0' in metrics
    assert 'event_gateway_events_received_total{origin="nats"} 1.0' in metrics


@pytest.mark.alone  # it looks at a position in the log
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "user.renamed", "source": "crm", "data": {"a": 1}},
         {"type": "user.renamed", "source": "crm", "data": {"a": 1}}),
        ({"a": 1}, {"type": "user.renamed", "source": "nats:GATEWAY_EVENTS", "data": {"a": 1}}),
    ],
)  # fmt: skip
async def test_json_objects_without_specversion_become_events(
    client: Client, receiver: Receiver, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], enrich=False)
    await client.nats.publish("user.renamed", json.dumps(body).encode())
    (request,) = await receiver.until(1)
    content = request.json
    assert {name: content[name] for name in expected} == expected
    assert (content["id"], content["specversion"]) == ("GATEWAY_EVENTS-1", "1.0")
    assert content["time"].endswith("Z")


@pytest.mark.alone  # it looks at all rejected input
async def test_rejected_input_is_listed_and_retried(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    # A message of a format to come, which is understood once the gateway knows it, or, here, once
    # its header is mended; and one that will never be an event.
    good = event("user.x")
    headers = {"Nats-Msg-Id": "once", "Content-Type": "application/cloudevents+json"}
    await client.nats.publish("user.x", b"\xff", headers=headers)
    for number in range(3):
        await client.nats.publish("user.x", b"[%d]" % number)
    async with asyncio.timeout(PATIENCE):
        while len((await client.http.get("/v1/rejected")).json()["items"]) < 4:
            await asyncio.sleep(0.05)
    page = (await client.http.get("/v1/rejected", params={"limit": 2})).json()
    assert ([item["data"] for item in page["items"]], page["total"]) == (["[2]", "[1]"], 4)
    rest = (await client.http.get("/v1/rejected", params={"cursor": page["next"]})).json()
    second, first = rest["items"]
    assert (rest["next"], rest["total"]) == (None, 4)
    assert (await client.http.get("/v1/rejected", params={"cursor": "3"})).status_code == 400
    assert (await client.http.get(f"/v1/rejected/{first['seq']}")).json() == first
    assert (await client.http.get("/v1/rejected/99")).status_code == 404
    assert (first["data_base64"], first["headers"]) == ("/w==", headers)
    assert (second["data"], second["subject"], second["reason"]) == ("[0]", "user.x", "malformed")
    assert (second["stream"], second["sequence"]) == ("GATEWAY_EVENTS", 2)
    assert "not a JSON object" in second["detail"]
    answer = await client.http.post(f"/v1/rejected/{second['seq']}/retry")
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")
    assert (await client.http.post("/v1/rejected/99/retry")).status_code == 404

    # A message that is an event now is accepted once, and is no rejected input any more.
    await client.nats.jetstream().publish(
        "eg.rejected.unsupported", json.dumps(good).encode(),
        headers={"Eg-Subject": "user.x", "Eg-Reason": "unsupported", "Eg-Sequence": "1",
                 "Eg-Header-Nats-Msg-Id": "once", "Eg-Header-X-Trace": "7"},
    )  # fmt: skip
    statuses: set[int] = set()
    answered = {503}
    async with asyncio.timeout(PATIENCE):
        while 503 in answered:  # NATS did not confirm in time that it has the event
            both = await asyncio.gather(
                *(client.http.post("/v1/rejected/5/retry") for _ in range(2))
            )  # fmt: skip
            answered = {item.status_code for item in both}
            statuses |= answered
    assert statuses <= {202, 404, 503}
    assert statuses & {202, 503}
    (request,) = await receiver.until(1)
    assert request.json["id"] == good["id"]
    assert len((await client.http.get("/v1/rejected")).json()["items"]) == 4
    stored = (await client.stream_messages("GATEWAY_EVENTS"))[4:]
    assert [item.headers["X-Trace"] for item in stored] == ["7"]
    await client.nats.jetstream().publish(
        "eg.rejected.invalid", json.dumps(good).encode(), headers={"Eg-Subject": "nowhere.x"}
    )
    answer = await client.http.post("/v1/rejected/6/retry")
    assert (answer.status_code, "nowhere.x" in answer.json()["detail"]) == (409, True)


TAKE_A_BODY = [
    ("POST", "/v1/events"), ("POST", "/v1/webhooks"), ("PUT", "/v1/webhooks/w"),
    ("POST", "/v1/streams"), ("PATCH", "/v1/streams/s"), ("POST", "/v1/rejected/1/retry"),
]  # fmt: skip


async def test_no_body_is_read_beyond_the_limit(client: Client, subtests: pytest.Subtests) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    for method, path in TAKE_A_BODY:
        with subtests.test(method=method, path=path):
            for content in (b" " * (1024 * 1024 + 1), parts()):
                answer = await client.http.request(
                    method, path, content=content, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 413, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
