"""Several processes of one gateway, on the same NATS and Redis."""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

from support.client import connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.stopping import stop_process


async def test_a_change_applies_in_all_processes_once_it_is_answered(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    first, other = await peers.start(stack, {}, {})
    expected = set()
    for number in range(20):
        writer, reader = (first, other) if number % 2 else (other, first)
        await writer.webhook(id=f"w{number}", url=f"{receiver.url}/w{number}", events=["user.*"])
        assert (await reader.http.get(f"/v1/webhooks/w{number}")).status_code == 200
        # Events sent after the answer match the new webhook in whichever process routes them.
        sent = [event("user.a") for _ in range(4)]
        for built in sent[:2]:
            await reader.nats.publish("user.a", json.dumps(built).encode())
        await reader.send(sent[2:])
        for earlier in range(number + 1):
            expected |= {(f"/w{earlier}", built["id"]) for built in sent}
    await receiver.until(len(expected))
    assert {(result.path, result.json["id"]) for result in receiver.requests} == expected

    for number in range(20):
        writer, reader = (first, other) if number % 2 else (other, first)
        assert (await writer.http.delete(f"/v1/webhooks/w{number}")).status_code == 204
        assert (await reader.http.get(f"/v1/webhooks/w{number}")).status_code in (404, 409)
    before = len(receiver.requests)
    await first.send(event("user.a"))
    await first.webhook(id="last", url=f"{receiver.url}/last", events=["user.*"])
    await other.send(event("user.a"))
    await receiver.until(1, "/last")
    assert len(receiver.requests) == before + 1


async def test_the_answer_to_a_change_waits_for_a_slow_process(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    first, _ = await peers.start(stack, {}, {})
    behind = peers.programs[1].pid
    result: dict[str, float] = {}
    for name, pause in (("soon", 0.5), ("late", PATIENCE)):
        stop_process(behind)
        try:
            began = time.monotonic()
            asyncio.get_running_loop().call_later(pause, os.kill, behind, signal.SIGCONT)
            await first.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"])
            result[name] = time.monotonic() - began
        finally:
            os.kill(behind, signal.SIGCONT)
    # The answer waits until the other process has applied the change, but not for ever.
    assert result["soon"] > 0.45, result
    assert 1.9 < result["late"] < PATIENCE - 5, result
    assert "have not applied a change" in peers.programs[0].output


async def test_two_processes_with_the_same_file_and_a_dead_process(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    file = {"webhooks": {f"f{n}": {"url": f"{receiver.url}/f", "events": ["user.*"]}
                         for n in range(5)}}  # fmt: skip
    first, _ = await peers.start(stack, file, file)
    assert (await first.http.get("/readyz")).json() == {"status": "ok", "reasons": []}
    events = [item for item in first.lifecycle if item["type"] == "webhook.registered"]
    assert len(events) == len({entry["subject"] for entry in events})
    peers.programs[1].kill()
    # The gateway waits for the process as long as it may be alive, and no longer.
    async with asyncio.timeout(PATIENCE):
        await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    async with asyncio.timeout(PATIENCE):  # until the process counts as dead
        while (await first.http.get("/v1/overview")).json()["processes"] > 1:
            await asyncio.sleep(0.05)
    waited = peers.programs[0].output.count("have not applied a change")
    await first.webhook(id="w2", url=f"{receiver.url}/w", events=["user.*"])
    assert peers.programs[0].output.count("have not applied a change") == waited
    await first.send(event("user.a"))
    await receiver.until(7)


async def test_different_files_are_reported(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    files = [
        {"webhooks": {"f": {"url": f"{receiver.url}/{n}", "events": ["user.*"]}}} for n in range(2)
    ]
    clients = await peers.start(stack, *files)
    async with asyncio.timeout(PATIENCE):
        while True:
            ready = [(await client.http.get("/readyz")).json() for client in clients]
            if all(item["status"] == "degraded" for item in ready):
                break
            await asyncio.sleep(0.1)
    for program, other, shown in zip(peers.programs, peers.programs[::-1], ready, strict=True):
        assert f"/{other.pid}" in shown["reasons"][0]
        async with asyncio.timeout(PATIENCE):
            while "different configuration file" not in program.output:
                await asyncio.sleep(0.1)
    assert await peers.programs[0].stop() == 0
    async with asyncio.timeout(PATIENCE):
        while (await clients[1].http.get("/readyz")).json()["status"] != "ok":
            await asyncio.sleep(0.1)


async def test_another_process_completes_a_deletion(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    first, other = await peers.start(stack, {}, {})
    policy = {"initial_delay": "1h", "max_attempts": 5}
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=policy)
    sent = event("user.a")
    await first.send(sent)
    await other.until("w", sent["id"], "retrying")
    # As left by a process that was killed between the mark and the cleanup.
    bucket = await first.nats.jetstream().key_value("GATEWAY_REGISTRY")
    entry = await bucket.get("webhook.w")
    marked = json.loads(entry.value or b"")
    marked["webhook"]["deleting"] = True
    await bucket.update("webhook.w", json.dumps(marked).encode(), last=entry.revision)
    async with asyncio.timeout(PATIENCE):
        while (await other.http.get("/v1/webhooks")).json()["items"]:
            await asyncio.sleep(0.05)
    await other.until("w", sent["id"], "cancelled")
    await first.lifecycle_events(1, "webhook.deleted")
    await other.webhook(id="w", url=f"{receiver.url}/again", events=["user.*"])
    await first.send(event("user.a"))
    await receiver.until(1, "/again")
    assert len([1 for events in first.lifecycle if events["type"] == "webhook.deleted"]) == 1


async def test_of_two_requests_for_the_same_webhook_one_creates_it(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    clients = await peers.start(stack, {}, {})
    for number in range(20):
        answers = await asyncio.gather(*(
            client.http.post(
                "/v1/webhooks",
                json={"id": f"w{number}", "url": f"{receiver.url}/{which}", "events": ["user.*"]},
            )
            for which, client in enumerate(clients)
        ))  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        frame = next(item.json()["url"] for item in answers if item.status_code == 201)
        for client in clients:
            assert (await client.http.get(f"/v1/webhooks/w{number}")).json()["url"] == frame


async def test_a_process_that_has_just_started_knows_the_others(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver, tmp_path: Path
) -> None:
    await peers.start(stack, {})
    behind = peers.programs[0].pid
    late = tmp_path / "late"
    late.mkdir()
    own = {"nats": {"url": peers.servers[0]}, "redis": {"url": peers.servers[1]}}
    program = Program(late, LOOPBACK | own)
    peers.programs.append(program)
    at = await program.start()
    async with connected(at["http"], peers.servers[0], at["key"]) as client:
        stop_process(behind)
        try:
            began = time.monotonic()
            asyncio.get_running_loop().call_later(0.8, os.kill, behind, signal.SIGCONT)
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            assert time.monotonic() - began > 0.5
        finally:
            os.kill(behind, signal.SIGCONT)
