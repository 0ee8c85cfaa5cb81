"""Webhooks that an earlier version may have stored, and that this version cannot use."""

import asyncio
import json
from pathlib import Path
from typing import Any

from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

NO_NUMBER = {"filters": [{"field": "data.x", "operator": "gt", "value": None}]}
NO_OPERATOR = {"filters": [{"field": "data.x", "operator": "resembles", "value": 1}]}
TOO_MANY = {"namespaces": [f"n{number}" for number in range(1001)]}
UNUSABLE: dict[str, dict[str, Any]] = {
    "ordered-filter": NO_NUMBER | {"ordered": True},
    "ordered-operator": NO_OPERATOR | {"ordered": True},
    "ordered-list": TOO_MANY | {"ordered": True},
    "filter": NO_NUMBER,
    "list": TOO_MANY,
    "sources": {"sources": TOO_MANY["namespaces"]},
}
KEYS = {
    "ordered-filter": "filters[0]", "ordered-operator": "filters[0]",
    "ordered-list": "namespaces", "filter": "filters[0]", "list": "namespaces",
    "sources": "sources",
}  # fmt: skip


async def _store(client: Client, url: str) -> None:
    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    for webhook_id, more in UNUSABLE.items():
        webhook = {"id": webhook_id, "url": f"{url}/{webhook_id}", "events": ["user.*"]} | more
        entry = json.dumps({"v": 3, "webhook": webhook}).encode()
        await bucket.put(f"webhook.{webhook_id}", entry)


async def _disabled(client: Client) -> dict[str, dict[str, Any]]:
    """The stored webhooks by id, once all of them are disabled."""
    async with asyncio.timeout(PATIENCE):
        while True:
            webhooks = [
                (await client.http.get(f"/v1/webhooks/{webhook_id}")).json()
                for webhook_id in UNUSABLE
            ]
            if all(webhook.get("state") == "disabled" for webhook in webhooks):
                return {webhook["id"]: webhook for webhook in webhooks}
            await asyncio.sleep(0.05)


async def test_they_are_disabled_with_the_reason_and_all_else_works(
    tmp_path: Path, receiver: Receiver
) -> None:
    program = Program(tmp_path, LOOPBACK)
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="good", url=f"{receiver.url}/good", events=["user.*"])
            await client.webhook(
                id="good-ordered", url=f"{receiver.url}/good-ordered", events=["user.*"],
                ordered=True,
            )  # fmt: skip
            await _store(client, receiver.url)
            webhooks = await _disabled(client)
            for webhook in webhooks.values():
                reason = webhook["disabled"]["reason"]
                assert reason.startswith("the gateway cannot use its definition: ")
            assert "at most 1000" in webhooks["ordered-list"]["disabled"]["reason"]
            events = await client.lifecycle_events(len(UNUSABLE), "webhook.disabled")
            assert {event["data"]["webhook_id"] for event in events} == set(UNUSABLE)
            await _works(client)
            matched = await client.http.post(
                "/v1/webhooks/match", json={"event": event("user.a", {"x": 1, "namespace": "n1"})}
            )
            assert matched.status_code == 200, matched.text
            assert matched.json()["matched"] == ["good", "good-ordered"]
            results = {item["webhook_id"]: item for item in matched.json()["items"]}
            for webhook_id, key in KEYS.items():
                assert results[webhook_id]["matches"] is False
                assert results[webhook_id]["failed"]["condition"] == key
                assert "cannot be evaluated: " in results[webhook_id]["failed"]["detail"]
            readiness = (await client.http.get("/readyz")).json()
            assert sorted(readiness["reasons"]) == sorted(
                f"the registry's entry webhook.{webhook_id} is left out" for webhook_id in UNUSABLE
            )
        assert program.output.count("it is ignored") == len(UNUSABLE)  # warned once each
        assert program.output.count("webhook disabled") == len(UNUSABLE)
        assert await program.stop() == 0
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _works(client)
            for webhook_id in UNUSABLE:
                change = {"filters": [], "namespaces": [], "sources": []}
                path = f"/v1/webhooks/{webhook_id}"
                assert (await client.http.patch(path, json=change)).status_code == 200
                assert (await client.http.post(f"{path}/enable", json={})).status_code == 200
            assert (await client.http.get("/readyz")).json() == {"status": "ok", "reasons": []}
            sent = event("user.a")
            await client.send(sent)
            for webhook_id in UNUSABLE:
                await client.until(webhook_id, sent["id"], "succeeded")
    finally:
        await program.stop()


async def _works(client: Client) -> None:
    sent = event("user.a", {"x": 1})
    await client.send(sent)
    for webhook_id in ("good", "good-ordered"):
        await client.until(webhook_id, sent["id"], "succeeded")
