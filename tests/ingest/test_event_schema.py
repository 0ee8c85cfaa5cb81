"""Schemas of event data over the API: hostile schemas and hostile data."""

import asyncio
import json

from support.client import Client, event
from support.event_schemas import REFUSED
from support.patience import PATIENCE

# Schemas with keywords alone and combined.


async def test_hostile_types_are_refused_by_the_api(client: Client) -> None:
    for schema, key, _ in REFUSED:
        if isinstance(schema, dict) and schema.get("const") == float("inf"):
            continue
        body = {"type": "user.x", "schema": schema}
        answer = await client.http.post("/v1/event-types", json=body)
        assert answer.status_code == 422, schema
        assert answer.json()["errors"][0]["key"].startswith(key)
    for body_bytes, status in (
        (b'{"type": "user.x", "schema": {"const": 1e999}}', 422),
        (b'{"type": "user.x", "schema": {"const": NaN}}', 422),
        (b'{"type": "user.x", "schema": {"const": "\\ud800"}}', 422),
        (b'{"type": "user.x", "schema": {"const": ' + b"9" * 5000 + b"}}", 422),
        (b'{"type": "user.x", "schema": null}', 422),
        (b'{"type": "user.x", "shema": {}}', 422),
        (b'{"type": ["user.x"]}', 422),
        (b'{"type": "user.x", "schema": ' + b"[" * 5000 + b"]" * 5000 + b"}", 422),
        (b"[]", 422),
        (b"{", 400),
    ):
        answer = await client.http.post(
            "/v1/event-types", content=body_bytes, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (status, 400), (body_bytes[:60], answer.text)
    assert (await client.http.get("/v1/event-types/user.x")).status_code == 404
    refused = await client.http.put("/v1/event-types/webhook.failed", json={})
    assert refused.status_code == 422
    assert (await client.http.delete("/v1/event-types/webhook.failed")).status_code == 409


HEAD = b'{"specversion":"1.0","source":"s","type":"user.made","id":"%d","data":'


async def test_hostile_data_is_rejected_and_the_next_event_is_processed(client: Client) -> None:
    schema = {"type": "object", "additionalProperties": {"maximum": 10, "items": {"type": "null"}}}
    answer = await client.http.put(
        "/v1/event-types/user.made", json={"schema": schema, "enforce": "reject"}
    )
    assert answer.status_code == 201
    hostile = [b'{"a":1e999}', b'{"a":' + b"9" * 400 + b"}", b'{"\\ud800":1}', b'{"a":"\\ud800"}',
               b'{"a":' + b"[" * 940 + b"]" * 940 + b"}", b"[" * 940 + b"]" * 940, b"null", b'"x"',
               b'{"' + b"k" * 5000 + b'":11}', b'{"a\\nb":11}', b'{"a":[1]}']  # fmt: skip
    count = 0
    for number, data in enumerate(hostile):
        body = (HEAD % number) + data + b"}"
        over_http = await client.http.post(
            "/v1/events", content=body, headers={"Content-Type": "application/cloudevents+json"}
        )
        assert over_http.status_code in (400, 422), (data[:40], over_http.text)
        await client.nats.jetstream().publish("user.made", body)
        count += 1
    await client.nats.jetstream().publish(
        "user.made", json.dumps(event("user.made", {"a": 11})).encode()
    )
    async with asyncio.timeout(PATIENCE):
        while len(items := (await client.http.get("/v1/rejected")).json()["items"]) < count + 1:
            await asyncio.sleep(0.05)
    assert {item["reason"] for item in items} <= {"schema", "malformed", "invalid"}
    assert [item["path"] for item in items if item["path"]][:2] == ["/a", "/a/0"]
    assert "/a\nb" in [item["path"] for item in items]
    await client.send(event("user.made", {"a": 10}))
