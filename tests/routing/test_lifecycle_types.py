"""Lifecycle events conform to their types in the catalog."""

from typing import Any

import jsonschema
import pytest

from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES
from event_gateway.observability import health
from support.client import Client, event
from support.fixtures import Start
from support.receiver import Receiver

CONFIG: dict[str, Any] = {
    "streams": {
        "live": {"subjects": ["user.*"], "retention": "1d"},
        "kept": {"subjects": ["user.*"], "compliance": True},
    },
    "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
    "alerts": {"webhook_down": {"failures": 2, "window": "5s"}},
}


async def test_every_lifecycle_event_conforms_to_its_type(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "DEGRADED_AFTER", 0.0)
    monkeypatch.setattr(health, "RECOVERED_AFTER", 0.0)
    gateway = await start(CONFIG)
    client: Client = await connect(gateway)
    http = client.http
    receiver.answers["/no"] = [500]
    receiver.answers["/gone"] = [410]
    for webhook, more in (
        ("ok", {}),
        ("no", {"retry_policy": {"max_attempts": 2, "initial_delay": "100ms"}}),
        ("gone", {}),
        # No server listens there, so there is no status either.
        ("none", {"url": "http://127.0.0.1:81/none", "retry_policy": {"max_attempts": 1}}),
    ):
        await client.webhook(
            **({"id": webhook, "url": f"{receiver.url}/{webhook}", "events": ["user.*"]} | more)
        )
    await client.send(event("user.a", {"n": 1}))
    await client.lifecycle_events(2, "webhook.dead_lettered")
    await client.lifecycle_events(1, "webhook.disabled")
    assert (await http.patch("/v1/webhooks/ok", json={"description": "x"})).status_code == 200
    assert (await http.post("/v1/webhooks/gone/enable")).status_code == 200
    assert (await http.delete("/v1/webhooks/ok")).status_code == 204
    answer = await http.post("/v1/streams", json={"name": "more", "subjects": ["fresh.*"]})
    assert answer.status_code == 201
    async with client.websocket() as socket:
        frame = await socket.request(action="subscribe", stream="live")
        await socket.request(action="unsubscribe", subscription=frame["subscription"])
        await socket.request(action="subscribe", stream="live", **{"from": {"seq": 1}})
    patched = await http.patch("/v1/streams/more", json={"max_messages": 10})
    assert patched.status_code == 200
    assert (await http.delete("/v1/streams/more")).status_code == 204
    await client.lifecycle_events(2, "stream.unsubscribed")
    registry = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    await registry.put("webhook.bad", b"no JSON")  # degrades the health
    await client.lifecycle_events(1, "gateway.health.degraded")
    await registry.purge("webhook.bad")
    await client.lifecycle_events(1, "gateway.alert.firing")
    # A paused webhook has no alerts.
    assert (await http.patch("/v1/webhooks/no", json={"enabled": False})).status_code == 200
    for name in LIFECYCLE_TYPES:
        await client.lifecycle_events(1, name)
    shown = {
        item["type"]: item
        for item in (await http.get("/v1/event-types", params={"owner": "event-gateway"})).json()[
            "items"
        ]
    }
    assert set(shown) == set(LIFECYCLE_TYPES)
    assert {item["managed_by"] for item in shown.values()} == {"gateway"}
    seen = set()
    for events in client.lifecycle:
        schema = shown[events["type"]]["schema"]
        # No event was published that the catalog does not know.
        closed = schema | {"additionalProperties": False}
        jsonschema.Draft202012Validator(
            closed, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        ).validate(events["data"])
        seen.add((events["type"], events["data"].get("status_code")))
    assert {("webhook.failed", None), ("webhook.failed", 500), ("webhook.failed", 410)} <= seen
