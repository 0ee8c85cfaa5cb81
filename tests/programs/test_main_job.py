"""Events of every domain reach their webhooks and live subscribers, once."""

import asyncio
import base64
import json
from typing import Any

import pytest
import standardwebhooks
import yaml

from support.client import Client, event
from support.fixtures import Start
from support.program import LOOPBACK
from support.receiver import Receiver

SIEM_TOKEN = "a-token-for-the-siem"
SIGNING_KEY = base64.b64encode(b"a signing key of 32 bytes length").decode()

SCHEMA_CREATED = {
    "schema_id": "sch-118", "name": "Customer", "version": "3.1.0", "namespace": "customer",
    "created_by": "m.okafor", "metadata": {"properties": 17, "tags": ["crm", "pii"]},
}  # fmt: skip
COMMIT_CREATED = {
    "commit_id": "c0ffee42", "database_id": "customers", "branch": "main", "author": "m.okafor",
    "message": "import of the spring campaign",
    "changes": {"insertions": 240, "deletions": 12, "document_changes": 252},
}  # fmt: skip
DOMAINS: list[dict[str, Any]] = [
    event("ontology.schema.created", SCHEMA_CREATED, source="ontology-management-service"),
    event("ontology.schema.created", SCHEMA_CREATED | {"namespace": "internal"},
          source="ontology-management-service"),
    event("terminus.commit.created", COMMIT_CREATED, source="terminus"),
    event("audit.events.access", {"actor": "m.okafor", "resource": "sch-118", "outcome": "success"},
          source="audit-service"),
    event("scheduler.job.completed", {"job_id": "j-7", "name": "reindex", "duration_ms": 5120},
          source="scheduler"),
    event("user.authenticated", {"user_id": "u-9", "method": "oidc", "ip": "198.51.100.7"},
          source="user-service"),
]  # fmt: skip
STREAMS = ("real_time_schema_changes", "data_processing_events", "audit_stream")


@pytest.fixture
async def client(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Client:
    """The original configuration, with the receiver's URL in its three webhooks."""
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_SIEM_TOKEN", SIEM_TOKEN)
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_CRM_KEY", SIGNING_KEY)
    with open("examples/gateway.yaml") as file:
        config = yaml.safe_load(file)
    for name, webhook in config["webhooks"].items():
        webhook["url"] = f"{receiver.url}/{name}"
    config["webhooks"]["external_crm"]["security"] = {
        "auth_type": "hmac_signature", "secret_name": "crm_key",
    }  # fmt: skip
    return await connect(await start(config | LOOPBACK))  # type: ignore[no-any-return]


async def _publish(client: Client, how: str) -> None:
    for domain in DOMAINS:
        if how == "http":
            await client.send(domain)
        elif how == "jetstream":
            await client.nats.jetstream().publish(domain["type"], json.dumps(domain).encode())
        elif how == "binary":
            headers = {
                f"ce-{k}": v for k, v in domain.items() if k not in ("data", "datacontenttype")
            }
            headers["content-type"] = "application/json"
            await client.nats.publish(domain["type"], json.dumps(domain["data"]).encode(),
                                      headers=headers)  # fmt: skip
        else:
            await client.nats.publish(domain["type"], json.dumps(domain).encode())


@pytest.mark.parametrize("how", ["http", "core nats", "jetstream", "binary"])
async def test_every_domain_reaches_its_webhooks_and_subscribers_once(
    client: Client, receiver: Receiver, how: str
) -> None:
    async with client.websocket() as socket:
        names = {}
        for name in STREAMS:
            answer = await socket.request(action="subscribe", ref=name, stream=name)
            assert answer["type"] == "subscribed"
            names[answer["subscription"]] = name
        await _publish(client, how)

        streamed: dict[str, list[Any]] = {name: [] for name in STREAMS}
        for _ in range(5):
            frame = await socket.next()
            assert frame["type"] == "event"
            assert names[frame["subscription"]] == frame["stream"]
            streamed[frame["stream"]].append((frame["seq"], frame["event"]))
        await receiver.until(4)
        assert await socket.silent(), "a subscriber got something twice"

    schema_crm, schema_other, commit, audit, job, login = DOMAINS
    expected = {
        "real_time_schema_changes": [schema_crm, schema_other],
        "data_processing_events": [commit, job],
        "audit_stream": [audit],
    }
    for name, events in expected.items():
        assert [seq for seq, _ in streamed[name]] == list(range(1, len(events) + 1))
        for (_, body), sent in zip(streamed[name], events, strict=True):
            assert _plain(body) == sent

    (crm,) = receiver.requests_to("/external_crm")
    assert crm.headers["content-type"] == "application/cloudevents+json"
    assert _plain(crm.json) == schema_crm
    assert crm.json["data"]["enrichment"].keys() == {
        "processed_at", "gateway_version", "correlation_chain", "related_events",
    }  # fmt: skip
    standardwebhooks.Webhook(SIGNING_KEY).verify(crm.body, crm.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SIGNING_KEY).verify(crm.body + b" ", crm.headers)

    (analytics,) = receiver.requests_to("/analytics_platform")
    assert analytics.headers["content-type"] == "application/json"
    body = analytics.json
    enrichment = body["payload"].pop("enrichment")
    assert enrichment["correlation_chain"] == []
    assert body == {
        "timestamp": commit["time"], "event_type": "terminus.commit.created",
        "source_service": "terminus", "payload": COMMIT_CREATED,
        "metadata": {"platform": "arrakis", "version": "2.0.0", "correlation_id": commit["id"]},
    }  # fmt: skip

    siem = receiver.requests_to("/security_siem")
    assert sorted(item.json["type"] for item in siem) == [
        "audit.events.access",
        "user.authenticated",
    ]
    assert {_plain(item.json)["id"] for item in siem} == {audit["id"], login["id"]}
    assert {item.headers["authorization"] for item in siem} == {f"Bearer {SIEM_TOKEN}"}
    assert "webhook-signature" not in siem[0].headers

    for name, sent in (("external_crm", schema_crm), ("analytics_platform", commit),
                       ("security_siem", audit), ("security_siem", login)):  # fmt: skip
        record = await client.until(name, sent["id"], "succeeded")
        assert [attempt["status_code"] for attempt in record["attempts"]] == [200]
    await asyncio.sleep(0.3)
    assert len(receiver.requests) == 4, "a webhook got something twice"


async def test_a_plain_json_object_becomes_an_event(client: Client, receiver: Receiver) -> None:
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="audit_stream")
        await client.nats.publish("audit.events.login", b'{"user": "u-9"}')
        (request,) = await receiver.until(1, "/security_siem")
        frame = await socket.next()
    result = _plain(request.json)
    assert result.pop("time").endswith("Z")
    assert result == {
        "specversion": "1.0", "id": "GATEWAY_EVENTS-1", "source": "nats:GATEWAY_EVENTS",
        "type": "audit.events.login", "datacontenttype": "application/json",
        "data": {"user": "u-9"},
    }  # fmt: skip
    # A subscriber gets the same event, with a sequence of the named stream.
    assert (frame["seq"], frame["event"]["id"], frame["event"]["source"]) == (
        1, "GATEWAY_EVENTS-1", "nats:GATEWAY_EVENTS",
    )  # fmt: skip


async def test_the_message_id_is_one_event_at_one_webhook(
    client: Client, receiver: Receiver
) -> None:
    for name in ("one", "two"):
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"])
    receiver.answers["/one"] = [500, 200]
    sent = event("user.authenticated", {"user_id": "u"})
    await client.send(sent)
    first, second = await receiver.until(2, "/one")
    (other,) = await receiver.until(1, "/two")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-id"] != other.headers["webhook-id"]
    assert "." not in first.headers["webhook-id"]
    assert sent["id"] not in first.headers["webhook-id"]
    assert [item.headers["x-event-gateway-attempt"] for item in (first, second)] == ["1", "2"]
    assert first.headers["user-agent"].startswith("event-gateway/")
    assert first.headers["traceparent"].count("-") == 3


def _plain(request: dict[str, Any]) -> dict[str, Any]:
    """The event without what the gateway adds."""
    data = {name: value for name, value in request["data"].items() if name != "enrichment"}
    return request | {"data": data}
