"""The four alerts through real faults: states, events, silences, history, over the API."""

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest
from nats.js.errors import NotFoundError

from event_gateway.cli.process.serve import Running
from event_gateway.core.text.times import parse_time
from support.client import Client, event
from support.fixtures import Command, Start
from support.narrow_callers import NarrowCallers
from support.patience import PATIENCE
from support.receiver import Receiver

SHORT = {"for": "0s", "keep_firing_for": "0s"}
CONFIG = {
    "alerts": {
        "high_error_rate": {"window": "5s", "min_attempts": 4, "threshold": 0.3} | SHORT,
        "delivery_lag": {"threshold": "1s"} | SHORT,
        "webhook_down": {"window": "5s", "failures": 3} | SHORT,
        "circuit_breaker_open": {"for": "600ms", "keep_firing_for": "0s"},
        "runbooks": "https://wiki.example/runbooks",
    }
}
ONCE = {"max_attempts": 1}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(CONFIG)  # type: ignore[no-any-return]


async def alerts_of(client: Client, webhook: str | None) -> dict[str, dict[str, Any]]:
    """The alerts about a webhook, by their names."""
    answer = await client.http.get("/v1/alerts", params={"limit": 1000})
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["items"] if item["webhook"] == webhook}


async def until(client: Client, webhook: str | None, name: str, state: str) -> dict[str, Any]:
    """Waits until an alert has a state and, if it is to be announced, its event is published."""
    async with asyncio.timeout(PATIENCE):
        while True:
            alert = (await alerts_of(client, webhook)).get(name, {})
            if alert.get("state") == state and (
                alert["announced"] or alert["not_announced_because"] or state == "pending"
            ):
                return alert
            await asyncio.sleep(0.05)


def announced(client: Client, name: str, webhook: str | None) -> list[str]:
    """The events about an alert, by the last token of their type."""
    return [
        published["type"].rpartition(".")[2]
        for published in client.lifecycle
        if published["type"].startswith("gateway.alert.")
        and (published["data"]["name"], published["data"]["webhook"]) == (name, webhook)
    ]


EXPECTED = (
    ("webhook_down", "down"), ("circuit_breaker_open", "down"), ("high_error_rate", "mixed"),
    ("delivery_lag", "slow"), ("high_error_rate", None),
)  # fmt: skip


async def test_alerts_fire_and_are_resolved(client: Client, receiver: Receiver) -> None:
    url = receiver.url
    receiver.answers |= {"/down": [500], "/mixed": [500, 500, 200, 200]}
    receiver.delays["/slow"] = [1.2]
    breaker = {"failure_threshold": 3, "open_for": "1s"}
    patient = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "500ms"}
    for webhook, more in (
        ("down", {"circuit_breaker": breaker, "retry_policy": patient}),
        ("mixed", {"retry_policy": ONCE}), ("slow", {"concurrency": 1}), ("quiet", {}),
    ):  # fmt: skip
        await client.webhook(
            **{"id": webhook, "url": f"{url}/{webhook}", "events": [f"{webhook}.*"]} | more
        )
    # A tally that no process of the gateway can have sent.
    forged = ["other", [["quiet", 0, 50, 50, 0.0, "x" * 20_000]]]
    await client.nats.publish("eg.tally.other", msgspec.msgpack.encode(forged))
    await client.send([event("down.a") for _ in range(4)])
    await client.send([event("mixed.a") for _ in range(4)])
    await client.send([event("slow.a") for _ in range(20)])
    async with asyncio.timeout(PATIENCE):
        while not all(announced(client, *key) for key in EXPECTED):
            await asyncio.sleep(0.05)
    down = (await alerts_of(client, "down"))["webhook_down"]
    assert (down["severity"], down["threshold"], down["resolved_at"]) == ("critical", 3, None)
    assert "in a row failed, the last with ServerError" in down["detail"]
    assert down["runbook"] == "https://wiki.example/runbooks#webhook_down"
    receiver.answers["/down"] = [200]
    receiver.delays["/slow"] = [0]
    async with asyncio.timeout(PATIENCE):
        while not all(announced(client, *key)[-1:] == ["resolved"] for key in EXPECTED):
            await asyncio.sleep(0.05)
    for key in EXPECTED:  # each episode has one event of either kind
        states = announced(client, *key)
        assert states == ["firing", "resolved"] * (len(states) // 2), (key, states)
    assert announced(client, "webhook_down", "down") == ["firing", "resolved"]
    assert await alerts_of(client, "quiet") == {}
    assert "event_gateway_task_crashes_total{" not in (await client.http.get("/metrics")).text
    ended = await alerts_of(client, "down")
    assert ended["webhook_down"]["resolved_because"] == "the condition does not hold any more"
    opened = ended["circuit_breaker_open"]
    held = parse_time(opened["fired_at"]) - parse_time(opened["since"])
    assert held >= 0.6  # pending until then
    published = next(e for e in client.lifecycle if e["type"] == "gateway.alert.firing"
                     and e["data"]["name"] == "webhook_down")  # fmt: skip
    assert published["subject"] == "alert/webhook_down/down"
    assert published["source"] == "event-gateway"
    assert published["data"]["labels"] == {
        "alertname": "webhook_down", "severity": "critical", "webhook": "down",
    }  # fmt: skip
    async with asyncio.timeout(PATIENCE):  # others than the expected may have fired, too
        while True:
            answer = await client.http.get("/v1/alerts/history", params={"webhook": "down"})
            history = answer.json()["items"]
            if all(item["resolved_at"] for item in history):
                break
            await asyncio.sleep(0.05)
    assert {item["name"] for item in history} >= {"webhook_down", "circuit_breaker_open"}
    first = (await client.http.get("/v1/alerts", params={"limit": 1})).json()
    rest = (await client.http.get("/v1/alerts", params={"cursor": first["next"]})).json()["items"]
    shown = [(item["name"], item["webhook"]) for item in first["items"] + rest]
    assert len(shown) == len(set(shown)) >= 5


async def test_silences_namespaces_and_the_events_own_receivers(
    client: Client, gateway: Running, receiver: Receiver, run: Command
) -> None:
    http, url = client.http, receiver.url
    receiver.answers |= {f"/{name}": [500] * 200 for name in ("quiet", "teller", "own")}
    async with NarrowCallers(gateway).caller(namespaces=("customer",)) as caller:
        await caller.ask("POST", "/v1/webhooks", 201, json={
            "id": "own", "url": f"{url}/own", "events": ["x.*"], "retry_policy": ONCE})  # fmt: skip
        for webhook, patterns in (("quiet", ["x.*"]), ("teller", ["x.*", "gateway.alert.*"])):
            await client.webhook(
                id=webhook, url=f"{url}/{webhook}", events=patterns, retry_policy=ONCE
            )
        silenced = await run("alerts", "silence", "--webhook", "quiet", "--for", "2h",
                             "--comment", "known", "--json")  # fmt: skip
        assert silenced.status == 0, silenced.err
        await client.send([event("x.a", {"namespace": "customer"}) for _ in range(4)])
        quiet = await until(client, "quiet", "webhook_down", "firing")
        assert (quiet["announced"], quiet["not_announced_because"]) == (False, "silenced")
        assert quiet["silenced"]["comment"] == "known"
        # An alert about a webhook that receives alerts would lead to the next one.
        teller = await until(client, "teller", "webhook_down", "firing")
        assert teller["not_announced_because"] == "the webhook receives alerts itself"
        await until(client, "own", "webhook_down", "firing")
        own = (await caller.ask("GET", "/v1/alerts", 200))["items"]
        assert {item["webhook"] for item in own} == {"own"}
        over_all = {"name": "webhook_down", "duration": "1h"}
        await caller.ask("POST", "/v1/alerts/silences", 403, json=over_all)
        mine = {"webhook": "own", "until": "2100-01-01T00:00:00Z"}
        refused = await caller.ask("POST", "/v1/alerts/silences", 422, json=mine)
        assert "366 days" in str(refused)
        assert (await caller.ask("GET", "/v1/alerts/silences", 200))["items"] == []
    for wrong in (
        {}, {"name": "webhook_down"}, {"name": "x", "duration": "1h"},
        {"name": "webhook_down", "duration": "1h", "until": "2026-01-01T00:00:00Z"},
        {"webhook": "quiet", "duration": "soon"},
    ):  # fmt: skip
        assert (await http.post("/v1/alerts/silences", json=wrong)).status_code in (403, 422)
    listed = await run("alerts", "list", "--webhook", "quiet")
    assert "firing (silenced)" in listed.out, listed.err
    assert "known" in (await run("alerts", "silences")).out
    identifier = (await http.get("/v1/alerts/silences")).json()["items"][0]["id"]
    assert announced(client, "webhook_down", "quiet") == []
    ended = await run("alerts", "unsilence", identifier)
    assert ended.status == 0, ended.err
    async with asyncio.timeout(PATIENCE):  # what fires still is announced now
        while announced(client, "webhook_down", "quiet") != ["firing"]:
            await asyncio.sleep(0.05)
    assert announced(client, "webhook_down", "teller") == []
    # A paused webhook, and a deleted one, have no alerts.
    assert (await http.patch("/v1/webhooks/quiet", json={"enabled": False})).status_code == 200
    paused = await until(client, "quiet", "webhook_down", "resolved")
    assert paused["resolved_because"] == "the webhook is paused"
    await client.delete_webhook("own")
    # A later webhook of an id is not silenced by what somebody said of the former one.
    kept = await http.post("/v1/alerts/silences", json={"webhook": "teller", "duration": "1h"})
    for webhook in ("quiet", "own"):
        silence = {"webhook": webhook, "duration": "1h"}
        answer = await http.post("/v1/alerts/silences", json=silence)
        assert answer.status_code == (404 if webhook == "own" else 201)
    await client.delete_webhook("quiet")
    await client.webhook(id="quiet", url=f"{url}/quiet", events=["x.*"], retry_policy=ONCE)
    async with asyncio.timeout(PATIENCE):
        listed = []
        while [item["id"] for item in listed] != [kept.json()["id"]]:
            await asyncio.sleep(0.05)
            listed = (await http.get("/v1/alerts/silences")).json()["items"]
    deleted = await until(client, "own", "webhook_down", "resolved")
    assert deleted["resolved_because"] == "the webhook was deleted"
    assert "fires" in (await run("alerts", "history", "--webhook", "teller")).out


async def test_a_deleted_bucket_is_filled_again(client: Client, receiver: Receiver) -> None:
    receiver.answers["/down"] = [500]
    await client.webhook(id="down", url=f"{receiver.url}/down", events=["x.*"], retry_policy=ONCE)
    silence = {"webhook": "down", "name": "delivery_lag", "duration": "1h"}
    assert (await client.http.post("/v1/alerts/silences", json=silence)).status_code == 201
    await client.send([event("x.a") for _ in range(3)])
    before = await until(client, "down", "webhook_down", "firing")
    js = client.nats.jetstream()
    await js.delete_stream("KV_GATEWAY_STATUS")
    async with asyncio.timeout(PATIENCE):
        stored = False
        while not stored:
            await asyncio.sleep(0.05)
            with contextlib.suppress(NotFoundError):
                await js.get_last_msg(
                    "KV_GATEWAY_STATUS", "$KV.GATEWAY_STATUS.alert.webhook_down.down"
                )
                stored = True
    assert await until(client, "down", "webhook_down", "firing") == before
    listed = (await client.http.get("/v1/alerts/silences")).json()["items"]
    assert [item["name"] for item in listed] == ["delivery_lag"]
    receiver.answers["/down"] = [200]
    await client.send([event("x.a")])
    ended = await until(client, "down", "webhook_down", "resolved")
    assert ended["since"] == before["since"]
    assert announced(client, "webhook_down", "down") == ["firing", "resolved"]
