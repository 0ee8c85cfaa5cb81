"""Values that JSON allows but that cannot be stored are refused; an unusable entry is left out."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

DEEP = "[" * 300 + "]" * 300


def _definition(url: str, **more: str) -> str:
    """The body of a webhook as text: Python's encoder would not write some of its values."""
    fields = {"id": '"w"', "url": json.dumps(url), "events": '["user.*"]'} | more
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def _filter(operator: str, value: str) -> dict[str, str]:
    return {"filters": f'[{{"field":"data.x","operator":"{operator}","value":{value}}}]'}


ODD_CONDITIONS: list[tuple[dict[str, str], str]] = [
    (_filter("gt", "NaN"), "filters[0].value"),
    (_filter("between", "[100,1e999]"), "filters[0].value[1]"),
    (_filter("equals", "123456789012345678901234567890"), "filters[0].value"),
    (_filter("equals", '"\\ud800"'), "filters[0].value"),
    ({"metadata": f'{{"a":{DEEP}}}'}, "metadata.a"),
    ({"metadata": '{"a":-Infinity}'}, "metadata.a"),
    ({"events": '["user.\\ud800"]'}, "events[0]"),
    ({"namespaces": '["\\ud800"]'}, "namespaces[0]"),
    ({"sources": '["\\ud800"]'}, "sources[0]"),
    ({"cloudevents_filters": '[{"exact":{"type":"\\ud800"}}]'}, "cloudevents_filters[0]"),
]


async def test_values_that_cannot_be_stored_are_refused(
    client: Client, receiver: Receiver, subtests: pytest.Subtests
) -> None:
    for more, key in ODD_CONDITIONS:
        with subtests.test(more=more, key=key):
            answer = await client.http.post(
                "/v1/webhooks", content=_definition(receiver.url, **more),
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"].startswith(key)
            assert (await client.http.get("/v1/webhooks")).json()["items"] == []


async def test_deep_examples_are_refused(client: Client) -> None:
    body = f'{{"type":"t.x","examples":[{DEEP}]}}'
    answer = await client.http.post(
        "/v1/event-types", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert (await client.http.get("/v1/event-types")).status_code == 200


async def test_an_invalid_entry_does_not_affect_others(tmp_path: Path, receiver: Receiver) -> None:
    """An entry that a faulty version could have written."""
    program = Program(tmp_path, LOOPBACK)
    bad: dict[str, Any] = {
        "id": "bad", "url": receiver.url, "events": ["user.*"],
        "filters": [{"field": "data.x", "operator": "gt", "value": None}],
    }  # fmt: skip
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
            await bucket.put("webhook.bad", json.dumps({"v": 3, "webhook": bad}).encode())
            async with asyncio.timeout(PATIENCE):
                while "webhook.bad" not in (await client.http.get("/readyz")).text:
                    await asyncio.sleep(0.05)
            await client.webhook(id="good", url=f"{receiver.url}/good", events=["user.*"])
        assert await program.stop() == 0
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            assert (await client.http.get("/readyz")).json()["status"] == "degraded"
            await client.send(event("user.x"))
            await receiver.until(1, "/good")
            assert (await client.http.delete("/v1/webhooks/bad")).status_code == 204
            async with asyncio.timeout(PATIENCE):
                while (await client.http.get("/readyz")).json()["status"] != "ok":
                    await asyncio.sleep(0.05)
        assert await program.stop() == 0
    finally:
        await program.stop()
