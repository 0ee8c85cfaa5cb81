"""Circuit breakers, paused and disabled webhooks: deliveries wait, and use up no attempt."""

import asyncio
import contextlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from event_gateway.broker.peers import Peers as Heartbeats
from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers, until_lanes_are_synced
from support.program import LOOPBACK, Program
from support.receiver import Receiver

PATIENT = {"max_attempts": 50, "backoff": "fixed", "initial_delay": "100ms"}


async def _stats(client: Client, webhook: str) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/webhooks/{webhook}/stats")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _until(client: Client, webhook: str, timeout: float = PATIENCE, **expected: Any) -> Any:
    """Waits until the webhook's stats have these values; ``breaker`` is the breaker's state."""
    async with asyncio.timeout(timeout):
        while True:
            stats = await _stats(client, webhook)
            flat = stats | {"breaker": stats["breaker"]["state"]}
            if all(flat[key] == value for key, value in expected.items()):
                return stats
            await asyncio.sleep(0.05)


async def test_a_breaker_opens_lets_one_probe_through_and_closes(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500] * 6 + [200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=PATIENT,
        circuit_breaker={"failure_threshold": 5, "open_for": "1s"},
    )  # fmt: skip
    sent = [event("user.a") for _ in range(20)]
    await client.send(sent[0])
    opened = (await receiver.until(5, "/w"))[-1].time
    receiver.holds["/w"] = looked = asyncio.Event()  # the probe has no result before
    stats = await _until(client, "w", breaker="open")
    assert stats["breaker"]["next_probe_at"] > stats["breaker"]["open_since"]
    assert stats["failing_since"] is not None
    await client.send(sent[1:])
    record = await client.until("w", sent[5]["id"], "pending")
    assert record["attempts"] == []
    looked.set()
    # The first probe fails, the next one succeeds; only then the other deliveries follow.
    requests = await receiver.until(5 + 1 + 20, "/w")
    assert requests[5].time - opened >= 1.0
    assert requests[6].time - requests[5].time >= 1.0
    assert all(request.time > requests[6].time for request in requests[7:])
    stats = await _until(client, "w", breaker="closed", queue_depth=0)
    assert (stats["attempts"], stats["succeeded"], stats["failing_since"]) == (26, 20, None)
    assert stats["success_rate"] == round(20 / 26, 4)
    for item in sent[1:]:
        record = await client.delivery("w", item["id"])
        tried = [attempt["status_code"] for attempt in record["attempts"]]
        assert tried in ([200], [500, 200]), "waiting used up an attempt"


async def test_an_open_breaker_is_shared_by_processes_and_survives_a_kill(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    first, other = await peers.start(stack, {}, {})
    await first.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=PATIENT,
        circuit_breaker={"failure_threshold": 3, "open_for": "6s"},
    )  # fmt: skip
    await asyncio.gather(*(client.send(event("user.a")) for client in (first, other)))
    stats = await _until(first, "w", breaker="open")
    opened = datetime.fromisoformat(stats["breaker"]["open_since"]).timestamp()
    await until_lanes_are_synced(first, other)
    before = len(receiver.requests)
    # Events for both processes while it is open.
    for _ in range(10):
        await asyncio.gather(*(client.send(event("user.a")) for client in (first, other)))
        await asyncio.sleep(0.1)
    peers.programs[0].kill()
    requests = await receiver.until(before + 2, "/w")
    probes = [came.time for came in requests[before:]]
    assert probes[0] - opened >= 5.9, "it was tried while the breaker was open"
    assert probes[1] - probes[0] >= 5.9, "two processes probed"
    receiver.answers["/w"] = [200]
    await _until(other, "w", breaker="closed", queue_depth=0)
    assert len({came.json["id"] for came in receiver.requests if came.status == 200}) == 22


async def test_a_paused_webhook_keeps_its_events(tmp_path: Path, receiver: Receiver) -> None:
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            webhook = await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            paused = await client.http.patch("/v1/webhooks/w", json={"enabled": False})
            expected = webhook | {"enabled": False, "state": "paused"}
            assert (paused.status_code, paused.json()) == (200, expected)
            first = event("user.a")
            await client.send(first)
            assert (await client.until("w", first["id"], "pending"))["attempts"] == []
            assert (await _until(client, "w", queue_depth=1))["state"] == "paused"
        program.kill()
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            second = event("user.a")
            await client.send(second)
            await client.until("w", second["id"], "pending")
            await asyncio.sleep(1)
            assert receiver.requests == []
            back = await client.http.patch("/v1/webhooks/w", json={"enabled": True})
            assert back.json()["enabled"] is True
            requests = await receiver.until(2, "/w")
            assert [request.json["id"] for request in requests] == [first["id"], second["id"]]
            await client.until("w", second["id"], "succeeded")
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_status_410_disables_and_enabling_resumes(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [200, 410, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = [event("user.a") for _ in range(4)]
    await client.send(sent[0])
    await client.until("w", sent[0]["id"], "succeeded")
    await client.send(sent[1])
    (event_,) = await client.lifecycle_events(1, "webhook.disabled")
    assert event_["data"] == {
        "webhook_id": "w", "url": f"{receiver.url}/w", "events": ["user.*"],
        "reason": "the receiver answered 410 Gone",
    }  # fmt: skip
    shown = (await client.http.get("/v1/webhooks/w")).json()
    assert shown["disabled"]["reason"] == "the receiver answered 410 Gone"
    assert shown["enabled"] is True
    assert (await client.until("w", sent[1]["id"], "dead_letter"))["attempts"][0]["number"] == 1
    await client.send(sent[2])
    await client.until("w", sent[2]["id"], "pending")
    assert (await _stats(client, "w"))["state"] == "disabled"
    # Another change does not enable it.
    changed = await client.http.patch("/v1/webhooks/w", json={"description": "x"})
    assert changed.json()["disabled"] == shown["disabled"]
    answer = await client.http.post("/v1/webhooks/w/enable")
    assert (answer.status_code, answer.json()["disabled"]) == (200, None)
    requests = await receiver.until(3, "/w")
    assert requests[-1].json["id"] == sent[2]["id"]


async def test_enabling_can_discard_pending_deliveries(client: Client, receiver: Receiver) -> None:
    receiver.headers["/w"] = {"webhook-delivery": "disable"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await client.send(event("user.a"))
    (event_,) = await client.lifecycle_events(1, "webhook.disabled")
    assert event_["data"]["reason"] == "the receiver answered webhook-delivery: disable"
    receiver.headers.clear()
    waited = event("user.a")
    await client.send(waited)
    await client.until("w", waited["id"], "pending")
    answer = await client.http.post("/v1/webhooks/w/enable", params={"discard": "true"})
    assert answer.json()["disabled"] is None
    assert (await client.delivery("w", waited["id"]))["status"] == "cancelled"
    last = event("user.a")
    await client.send(last)
    await client.until("w", last["id"], "succeeded")
    assert len(receiver.requests) == 2


async def test_only_failures_disable_a_webhook_of_the_file_too(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    config = LOOPBACK | {
        "webhooks": {
            "w": {
                "url": f"{receiver.url}/w", "events": ["user.*"], "disable_after": "1s",
                "retry_policy": PATIENT, "circuit_breaker": {"failure_threshold": 1000},
            }
        }
    }  # fmt: skip
    program = Program(tmp_path, config)
    at = await program.start()
    sent = event("user.a")
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            began = time.time()
            await client.send(sent)
            (event_,) = await client.lifecycle_events(1, "webhook.disabled")
            assert event_["data"]["reason"] == "nothing but failures for 1s"
            assert time.time() - began >= 1
        assert await program.stop() == 0
        count = len(receiver.requests)
        at = await program.start()  # the same file does not enable it
        async with connected(at["http"], at["nats"], at["key"]) as client:
            shown = (await client.http.get("/v1/webhooks/w")).json()
            assert shown["disabled"]["reason"] == "nothing but failures for 1s"
            await asyncio.sleep(1)
            assert len(receiver.requests) == count
            receiver.answers["/w"] = [200]
            assert (await client.http.post("/v1/webhooks/w/enable")).status_code == 200
            record = await client.until("w", sent["id"], "succeeded")
            assert len(record["attempts"]) == count + 1
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_a_delivery_past_its_deadline_is_a_dead_letter(
    client: Client, receiver: Receiver
) -> None:
    policy = {"max_age": "2s"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], enabled=False,
                         retry_policy=policy)  # fmt: skip
    sent = [event("user.a", {"n": n}) for n in range(600)]
    await client.send(sent[:300])
    await client.send(sent[300:])
    await client.lifecycle_events(600, "webhook.dead_lettered")
    record = await client.until("w", sent[0]["id"], "dead_letter")
    assert (record["attempts"], record["last_error"]) == ([], "Expired")
    letters = [
        json.loads(stored.data) for stored in await client.stream_messages("GATEWAY_DEAD_LETTERS")
    ]
    assert {letter["reason"] for letter in letters} == {"Expired"}
    assert sorted(letter["event"]["data"]["n"] for letter in letters) == list(range(600))
    assert receiver.requests == []
    assert (await _stats(client, "w"))["queue_depth"] == 0


async def test_a_process_that_hears_of_no_other_as_nats_is_away_asks_redis_each_second(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others deliver on, and their circuit breakers open."""
    running: Running = await start({})
    sync = running.gateway.stages.deliveries.lane_sync
    asked: list[None] = []
    monkeypatch.setattr(sync, "_on_round", lambda: asked.append(None))
    for _ in range(10):
        await sync.sync()
    assert len(asked) < 10
    asked.clear()
    monkeypatch.setattr(Heartbeats, "cut_off", True)
    for _ in range(10):
        await sync.sync()
    assert len(asked) >= 10
