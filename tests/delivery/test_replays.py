"""Replays from the log: progress, pause, cancellation, and continuation in another process."""

import asyncio
import contextlib
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver


async def _ended(client: Client, told: dict[str, Any], timeout: float = PATIENCE) -> dict[str, Any]:
    async with asyncio.timeout(timeout):
        while told["state"] == "running":
            await asyncio.sleep(0.05)
            told = (await client.http.get(f"/v1/replays/{told['id']}")).json()
    return told


async def _start_replay(client: Client, **definition: Any) -> dict[str, Any]:
    answer = await client.http.post("/v1/replays", json=definition)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/replays/{body['id']}"
    return body


async def _past(client: Client, count: int, *types: str) -> list[dict[str, Any]]:
    sent = [event(types[n % len(types)], {"n": n}) for n in range(count)]
    for start in range(0, count, 100):
        await client.send(sent[start : start + 100])
    return sent


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def test_events_from_before_the_registration(client: Client, receiver: Receiver) -> None:
    """Events that were delivered before are delivered again."""
    began = _now()
    sent = await _past(client, 30, "a.x", "a.y", "b.x")
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a.>"],
        filters=[{"field": "data.n", "operator": "in", "value": list(range(9, 30))}],
    )  # fmt: skip
    expected = [event["id"] for event in sent[9:] if event["type"].startswith("a.")]
    replay = await _ended(
        client, await _start_replay(client, webhook="w", since=began, dry_run=True)
    )
    assert (replay["state"], replay["looked_at"], replay["matched"]) == ("done", 30, len(expected))
    assert (replay["queued"], replay["progress"], replay["dry_run"]) == (0, 1.0, True)
    await asyncio.sleep(0.2)
    assert receiver.requests == []
    replay = await _ended(client, await _start_replay(client, webhook="w", since=began))
    assert (replay["queued"], replay["skipped"]) == (len(expected), 0)
    requests = await receiver.until(len(expected), "/w")
    assert sorted(request.json["id"] for request in requests) == sorted(expected)
    for event_id in expected:  # the next replay leaves out what has not ended
        await client.until("w", event_id, "succeeded")
    delivery = await client.delivery("w", expected[0])
    assert (delivery["run"], delivery["repeats"]) == (1, f"replay {replay['id']}")
    ids = {request.json["id"]: request.headers["webhook-id"] for request in requests}
    replay = await _ended(
        client, await _start_replay(client, webhook="w", since=began, types=["*.y"])
    )
    again = (await receiver.until(len(expected) + replay["queued"], "/w"))[len(expected) :]
    assert {item.json["type"] for item in again} == {"a.y"}
    assert all(ids[item.json["id"]] == item.headers["webhook-id"] for item in again)
    assert (await client.until("w", again[0].json["id"], "succeeded"))["run"] == 2


async def test_from_a_position_or_a_time_to_another(client: Client, receiver: Receiver) -> None:
    first = await _past(client, 10, "a")
    await asyncio.sleep(0.02)
    between = _now()
    await asyncio.sleep(0.02)
    second = await _past(client, 10, "a")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    for expected, ids in (
        ({"from_seq": 1}, first + second),
        ({"from_seq": 4, "until_seq": 6}, first[3:6]),
        ({"since": "2020-01-01T00:00:00Z", "until": between}, first),
        ({"since": between}, second),
        ({"since": between, "until_seq": 12}, second[:2]),
        ({"from_seq": 8, "until": between}, first[7:]),
        ({"from_seq": 100}, []),
        ({"since": "2100-01-01T00:00:00Z"}, []),
        ({"since": "9999-01-01T00:00:00Z"}, []),
        ({"since": "0001-01-01T00:00:00Z", "until_seq": 1}, first[:1]),
    ):
        before = len(receiver.requests)
        replay = await _ended(client, await _start_replay(client, webhook="w", **expected))
        assert (replay["state"], replay["matched"]) == ("done", len(ids)), expected
        requests = await receiver.until(before + len(ids))
        assert {request.json["id"] for request in requests[before:]} == {
            item["id"] for item in ids
        }, expected
        assert len(requests) == before + len(ids), expected
        for item in ids:
            await client.until("w", item["id"], "succeeded")


async def test_a_pending_delivery_is_not_queued_again(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = await _past(client, 5, "a")
    for sent_event in sent:
        await client.until("w", sent_event["id"], "pending")
    replay = await _ended(client, await _start_replay(client, webhook="w", from_seq=1))
    assert (replay["matched"], replay["queued"], replay["skipped"]) == (5, 0, 5)
    await client.http.post("/v1/webhooks/w/enable")
    await receiver.until(5)
    await asyncio.sleep(0.3)
    assert len(receiver.requests) == 5


async def test_a_replay_is_paused_and_resumed(client: Client, receiver: Receiver) -> None:
    """A replay queues only a little ahead of the receiver, so a pause takes effect soon."""
    sent = await _past(client, 2600, "a")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    body = await _start_replay(client, webhook="w", from_seq=1)
    async with asyncio.timeout(PATIENCE):
        while body["queued"] < 1000:
            await asyncio.sleep(0.05)
            body = (await client.http.get(f"/v1/replays/{body['id']}")).json()
    await asyncio.sleep(0.6)
    body = (await client.http.get(f"/v1/replays/{body['id']}")).json()
    assert body["state"] == "running"
    assert 1000 <= body["queued"] <= 1280, "it waits for the receiver"
    assert 0 < body["progress"] < 0.5
    path = f"/v1/replays/{body['id']}"
    assert (await client.http.post(f"{path}/pause")).json()["state"] == "paused"
    await client.http.post("/v1/webhooks/w/enable")
    await receiver.until(body["queued"])
    await asyncio.sleep(1.2)
    assert len(receiver.requests) == body["queued"], "nothing more is queued while it is paused"
    assert (await client.http.post(f"{path}/resume")).json()["state"] == "running"
    ended = await _ended(client, (await client.http.get(path)).json())
    assert (ended["state"], ended["queued"], ended["matched"]) == ("done", 2600, 2600)
    await receiver.until(2600)
    assert [request.json["id"] for request in receiver.requests].count(sent[2000]["id"]) == 1
    assert {request.json["id"] for request in receiver.requests} == {event["id"] for event in sent}
    assert (await client.http.post(f"{path}/resume")).status_code == 409


async def test_a_replay_is_cancelled(client: Client, receiver: Receiver) -> None:
    await _past(client, 1500, "a")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    body = await _start_replay(client, webhook="w", from_seq=1)
    path = f"/v1/replays/{body['id']}"
    ended = (await client.http.post(f"{path}/cancel")).json()
    assert (ended["state"], ended["ended_at"] is not None) == ("cancelled", True)
    await asyncio.sleep(0.5)
    body = (await client.http.get(path)).json()
    assert body["queued"] < 1500
    assert (await client.http.post(f"{path}/pause")).status_code == 409
    listed = (await client.http.get("/v1/replays")).json()["items"]
    assert [item["id"] for item in listed] == [body["id"]]


async def test_the_webhook_is_deleted_during_a_replay(client: Client, receiver: Receiver) -> None:
    await _past(client, 1500, "a")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    replay = await _start_replay(client, webhook="w", from_seq=1)
    await client.http.delete("/v1/webhooks/w")
    ended = await _ended(client, replay)
    assert (ended["state"], ended["error"]) == ("failed", "the webhook w was deleted") or (
        ended["state"] == "done"
    )
    assert ended["state"] == "failed" or ended["queued"] == 1500


async def test_lists_have_pages(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    ids = [(await _start_replay(client, webhook="w", from_seq=1))["id"] for _ in range(5)]
    result: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await client.http.get("/v1/replays", params={"limit": 2} | cursor)).json()
        result += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert result == ids[::-1]
    assert (await client.http.get("/v1/replays/none")).status_code == 404
    assert (await client.http.post("/v1/replays/none/pause")).status_code == 404


@pytest.mark.parametrize("victim", ["gateway", "nats", "valkey"])
async def test_a_crash_repeats_nothing_and_leaves_nothing_out(
    tmp_path: Path, receiver: Receiver, victim: str
) -> None:
    hook = {"url": f"{receiver.url}/w", "events": ["a"], "enabled": False}
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": hook}})
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            sent = await _past(client, 1500, "a")
            # These are pending; those of the other webhook belong to the replay.
            await client.webhook(id="v", url=f"{receiver.url}/v", events=["a"])
            replay = await _start_replay(client, webhook="v", from_seq=1)
            await receiver.until(200, "/v")
            if victim == "gateway":
                program.kill()
            else:
                os.kill(int((program.data / f"{victim}.pid").read_text()), signal.SIGKILL)
        if victim == "gateway":
            at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            async with asyncio.timeout(PATIENCE):
                while True:
                    answer = await client.http.get(f"/v1/replays/{replay['id']}")
                    if answer.status_code == 200 and answer.json()["state"] != "running":
                        break
                    await asyncio.sleep(0.1)
            ended = answer.json()
            assert (ended["state"], ended["queued"], ended["matched"]) == ("done", 1500, 1500)
            await _all_came(receiver, "/v", {event["id"] for event in sent})
        assert await program.stop() == 0
    finally:
        await program.stop()
    # Repeated deliveries were in flight at the crash.
    assert len(receiver.requests_to("/v")) <= 1500 + 300


async def _all_came(receiver: Receiver, path: str, ids: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while ids - {request.json["id"] for request in receiver.requests_to(path)}:
            await asyncio.sleep(0.1)


async def test_another_process_takes_over_a_replay(
    peers: Peers, receiver: Receiver, stack: contextlib.AsyncExitStack
) -> None:
    first, two = await peers.start(stack, {}, {})
    await _past(first, 1500, "a")
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["a"])
    replay = await _start_replay(first, webhook="w", from_seq=1)
    await receiver.until(100, "/w")
    peers.programs[0].kill()
    ended = await _ended(two, (await two.http.get(f"/v1/replays/{replay['id']}")).json(), 60)
    assert (ended["state"], ended["queued"]) == ("done", 1500)


BAD_REPLAYS: list[tuple[Any, int, str]] = [
    ({}, 422, "webhook"),
    ({"webhook": "w"}, 422, "since: must be given"),
    ({"webhook": "none", "from_seq": 1}, 404, "none"),
    ({"webhook": "w", "since": "soon"}, 422, "since: 'soon' is"),
    ({"webhook": "w", "from_seq": "1"}, 422, "from_seq"),
    ({"webhook": "w", "from_seq": 1, "types": ["a..b"]}, 422, "types[0]"),
    ({"webhook": "w", "from_seq": 1, "stream": "OTHER"}, 422, "stream"),
    ({"webhook": "w", "from_seq": 1, "form_seq": 1}, 422, "form_seq"),
]


async def test_bad_replays(client: Client, receiver: Receiver, subtests: pytest.Subtests) -> None:
    await client.webhook(id="w", url=receiver.url, events=["a"])
    for expected, status, message in BAD_REPLAYS:
        with subtests.test(expected=expected, message=message):
            answer = await client.http.post("/v1/replays", json=expected)
            assert answer.status_code == status, answer.text
            assert message in answer.json()["detail"]
