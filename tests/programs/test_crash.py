"""Kills of the gateway and its servers: no accepted event is lost."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from event_gateway.cli.process.serve import Running
from support.client import STRUCTURED, Client, connected, event
from support.patience import PATIENCE, allowance
from support.program import LOOPBACK, Program, server_pids
from support.receiver import Receiver
from support.stopping import stop_process

WEBHOOKS = ("one", "two", "three")


def _config(receiver: Receiver) -> dict[str, Any]:
    policy = {"max_attempts": 10, "initial_delay": "200ms"}
    return LOOPBACK | {
        "webhooks": {
            name: {
                "url": f"{receiver.url}/{name}",
                "events": ["load.*"],
                "retry_policy": dict(policy),
                "circuit_breaker": {"failure_threshold": 1000},
            }
            for name in WEBHOOKS
        }
    }


def _missing(receiver: Receiver, ids: set[str]) -> dict[str, int]:
    return {
        name: len(ids - {request.json["id"] for request in receiver.requests_to(f"/{name}")})
        for name in WEBHOOKS
    }


async def _all_delivered(receiver: Receiver, ids: set[str], timeout: float = PATIENCE) -> None:
    for _ in range(int(timeout / 0.25)):
        await asyncio.sleep(0.25)
        if not any(_missing(receiver, ids).values()):
            return
    raise AssertionError(f"never delivered: {_missing(receiver, ids)}")


@pytest.mark.parametrize("after", [1, 700, 2000])
async def test_kill_the_gateway_under_load(tmp_path: Path, receiver: Receiver, after: int) -> None:
    """The gateway is killed after a number of requests, and its servers end with it."""
    program = Program(tmp_path, _config(receiver))
    sent = [event("load.made", {"n": n}) for n in range(1000)]
    chunks = [sent[start : start + 50] for start in range(0, 1000, 50)]
    # Some attempts fail, so that deliveries are waiting for a retry at the crash.
    receiver.answers["/two"] = [500] * 50 + [200]

    async def kill() -> None:
        while len(receiver.requests) < after:
            await asyncio.sleep(0.001)
        program.kill()

    killing = asyncio.create_task(kill())
    try:
        while chunks:
            at = await program.start()
            async with connected(at["http"], at["nats"], at["key"]) as client:
                with contextlib.suppress(httpx.TransportError):
                    while chunks:
                        await client.send(chunks[0])
                        chunks.pop(0)  # events without an answer are sent again
        # The crash may come before, after or during the last answer.
        await killing
        if not program.runs:
            await program.start()
        before = len(receiver.requests)
        await _all_delivered(receiver, {item["id"] for item in sent})
        assert await program.stop() == 0
    finally:
        killing.cancel()
        await program.stop()
    # At least once; repeated deliveries were in flight or not yet recorded.
    for name in WEBHOOKS:
        counts = Counter(request.json["id"] for request in receiver.requests_to(f"/{name}"))
        twice = sum(count - 1 for count in counts.values())
        allowed = 400 + (50 if name == "two" else 0)
        assert twice <= allowed, f"{twice} too many at {name}, {before} before the restart"


async def test_events_published_while_the_gateway_is_down(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    nats_url, redis_url = servers
    config = _config(receiver) | {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, config)
    try:
        at = await program.start()
        program.kill()
        async with connected(at["http"], nats_url, at["key"]) as client:
            sent = [event("load.made") for _ in range(50)]
            for item in sent:
                await client.nats.publish("load.made", json.dumps(item).encode())
            await client.nats.flush()
        await program.start()
        await _all_delivered(receiver, {item["id"] for item in sent})
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert len(receiver.requests) == 150


async def test_the_servers_end_with_the_gateway(tmp_path: Path, receiver: Receiver) -> None:
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    first = server_pids(program.data)
    program.kill()
    await _wait_until_ended(first)
    again = await program.start()
    # Ports and passwords stay the same, so clients need no change.
    assert (again["nats"], again["redis"], again["key"]) == (at["nats"], at["redis"], at["key"])
    second = server_pids(program.data)
    assert await program.stop() == 0
    await _wait_until_ended(second)
    assert not (program.data / "endpoints.json").exists()
    assert "Traceback" not in program.output, program.output


async def _wait_until_ended(pids: dict[str, int]) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(_alive(pid) for pid in pids.values()):
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


async def test_kill_external_nats_and_valkey(tmp_path: Path, receiver: Receiver) -> None:
    """Both servers are down for a while: the gateway continues by itself afterwards."""
    from event_gateway.embedded.servers import EmbeddedServers

    servers = EmbeddedServers(tmp_path / "servers")
    nats_url, redis_url = await servers.start()
    config = _config(receiver) | {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, config)
    try:
        at = await program.start()
        async with connected(at["http"], str(nats_url), at["key"]) as client:
            ids = set()
            for name in ("valkey", "nats"):
                os.kill(server_pids(tmp_path / "servers")[name], signal.SIGKILL)
                if name == "nats":
                    await asyncio.sleep(0.3)
                    published = event("load.made")
                    problem = await client.send(published, status=503)
                    assert "NATS" in problem["detail"]
                    assert problem["outcome"] == "not taken"
                    parts = [event("load.made") for _ in range(3)]
                    assert (await client.send(parts, status=503))["outcome"] == "not taken"
                    refused = {item["id"] for item in (published, *parts)}
                else:
                    await _until_ready(client, "degraded")
                    sent = [event("load.made") for _ in range(20)]
                    await client.send(sent)
                    ids |= {item["id"] for item in sent}
                    await asyncio.sleep(0.5)
                    assert not receiver.requests, "an attempt whose outcome could not be kept"
                await servers.stop()
                await servers.start()
                await _until_ready(client)
                sent = [event("load.made") for _ in range(20)]
                await client.send(sent)
                ids |= {item["id"] for item in sent}
                await _all_delivered(receiver, ids)
            # What was answered with "not taken" has not been sent later, either.
            log = {
                json.loads(message.data)["id"]
                for message in await client.stream_messages("GATEWAY_EVENTS")
            }
            assert not refused & log
        assert await program.stop() == 0
    finally:
        await program.stop()
        await servers.stop()


async def _until_ready(client: Any, status: str = "ok") -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            ready = await client.http.get("/readyz")
            if ready.status_code == 200 and ready.json()["status"] == status:
                return
            await asyncio.sleep(0.1)


async def test_retries_after_a_restart_are_enriched(tmp_path: Path, receiver: Receiver) -> None:
    """All events are read from the log at once, since no process has them in memory."""
    program = Program(tmp_path, LOOPBACK)
    receiver.answers["/one"] = [500] * 300 + [200]
    try:
        began = time.monotonic()
        at = await program.start()
        # Most retries are due after the program has ended.
        delay = allowance(3, time.monotonic() - began, 1)
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(
                id="one", url=f"{receiver.url}/one", events=["load.*"],
                retry_policy={"initial_delay": f"{delay}s"},
                circuit_breaker={"failure_threshold": 1000},
            )  # fmt: skip
            sent = [event("load.made", {"n": n}) for n in range(300)]
            await client.send(sent)
            await receiver.until(300)
        assert await program.stop() == 0
        before = list(receiver.requests)
        await program.start()
        await _all_taken(receiver, {item["id"] for item in sent})
        assert await program.stop() == 0
    finally:
        await program.stop()
    tries = Counter(item.json["id"] for item in before)
    later = receiver.requests[len(before) :]
    assert len(later) >= 100
    for item in later:
        tries[item.json["id"]] += 1
        assert item.headers["x-event-gateway-attempt"] == str(tries[item.json["id"]])
        assert "incomplete" not in item.json["data"]["enrichment"]


async def _all_taken(receiver: Receiver, ids: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while ids - {request.json["id"] for request in receiver.requests if request.status == 200}:
            await asyncio.sleep(0.05)


async def test_a_nats_that_hangs_is_not_ready(
    client: Client, gateway: Running, tmp_path: Path
) -> None:
    """The connection is open but NATS does not answer: no event is accepted."""
    pid = server_pids(tmp_path / "data")["nats"]
    stop_process(pid)
    try:
        async with asyncio.timeout(PATIENCE):
            while (await client.http.get("/readyz")).status_code != 503:
                await asyncio.sleep(0.1)
        answer = await client.http.get("/readyz")
        assert answer.json() == {"status": "unavailable", "reasons": ["nats unreachable"]}
        hanging = event("user.a")
        refused = await client.http.post("/v1/events", json=hanging, headers=STRUCTURED)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert refused.json()["outcome"] == "unknown"
        assert "the same source and id" in refused.json()["detail"]
    finally:
        os.kill(pid, signal.SIGCONT)
    await _until_ready(client)
    # It may have been stored: sent again, it is stored once.
    await client.send(hanging)
    stored = [
        json.loads(message.data)["id"] for message in await client.stream_messages("GATEWAY_EVENTS")
    ]
    assert stored == [hanging["id"]]


@pytest.mark.parametrize("failed", [0, 1])
async def test_kill_the_gateway_before_the_start_of_an_attempt_is_written(
    tmp_path: Path, receiver: Receiver, failed: int
) -> None:
    """That of an event from the log, and that of a retry from the queue. It is attempted again."""
    program = Program(tmp_path, _config(receiver))
    receiver.answers["/one"] = [500] * failed + [200]
    receiver.delays["/one"] = [0.0] * failed + [10 * PATIENCE]  # it is killed meanwhile
    sent = event("load.made")
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(sent)
            async with asyncio.timeout(PATIENCE):
                while len(receiver.requests_to("/one")) <= failed:
                    await asyncio.sleep(0.001)
            program.kill()
        del receiver.delays["/one"]
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            record = await client.until("one", sent["id"], "succeeded")
        assert len(record["attempts"]) == failed + 1
        assert len(receiver.requests_to("/one")) == failed + 2
        assert await program.stop() == 0
    finally:
        await program.stop()
