"""Redis loses records, in different ways: the log is read again, and no event is missing."""

import asyncio
import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio
from nats.errors import TimeoutError as NatsTimeout
from structlog.testing import capture_logs

from event_gateway.broker.stream_page import read_page
from event_gateway.cli.process.serve import Running
from event_gateway.routing import rereading
from support.checkpoints import until_checkpointed
from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, server_pids
from support.receiver import Receiver
from support.stopping import stop_process

HOOKS = ("one", "two")


def _config(receiver: Receiver) -> dict[str, Any]:
    rest = {"events": ["load.*"], "retry_policy": {"max_attempts": 10, "initial_delay": "200ms"}}
    return LOOPBACK | {
        "webhooks": {name: rest | {"url": f"{receiver.url}/{name}"} for name in HOOKS}
    }


async def _send(client: Client, count: int) -> set[str]:
    sent = [event("load.made") for _ in range(count)]
    await client.send(sent)
    return {item["id"] for item in sent}


async def _came(receiver: Receiver, ids: set[str], *paths: str, timeout: float = PATIENCE) -> None:
    async with asyncio.timeout(timeout):
        while any(
            ids
            - {
                request.json["id"]
                for request in receiver.requests_to(path)
                if request.status == 200
            }
            for path in paths or [f"/{name}" for name in HOOKS]
        ):
            await asyncio.sleep(0.1)


async def _stats(client: Client, webhook: str) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/webhooks/{webhook}/stats")
    return dict(answer.json())


async def _ready(http: httpx.AsyncClient, timeout: float = PATIENCE) -> dict[str, Any]:
    async with asyncio.timeout(timeout):
        while (body := (await http.get("/readyz")).json())["status"] != "ok":
            await asyncio.sleep(0.1)
    return dict(body)


async def test_redis_loses_recent_writes_while_the_gateway_runs(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Deliveries pending in the old copy, and events without a record, are delivered."""
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    store = program.data / "valkey"
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            before = await _send(client, 20)
            await _came(receiver, before)
            await until_checkpointed(at["redis"], client.nats)
            shutil.copytree(store, tmp_path / "copy")
            receiver.answers["/two"] = [500]  # these are pending when the copy is restored
            lost = await _send(client, 40)
            await _came(receiver, lost, "/one")
            await until_checkpointed(at["redis"], client.nats)
            pid = int((program.data / "valkey.pid").read_text())
            stop_process(pid)
            shutil.rmtree(store)
            shutil.copytree(tmp_path / "copy", store)
            os.kill(pid, signal.SIGKILL)
            receiver.answers["/two"] = [200]
            await _came(receiver, lost)
            more = await _send(client, 10)
            await _came(receiver, more)
            await _ready(client.http)
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "the log is reread" in program.output
    assert "Traceback" not in program.output
    counts = Counter(request.json["id"] for request in receiver.requests_to("/one"))
    assert all(counts[item] == 1 for item in before), "their records were there"


async def test_redis_loses_recent_writes_while_the_gateway_is_down(
    tmp_path: Path, receiver: Receiver
) -> None:
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    store = program.data / "valkey"
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            before = await _send(client, 20)
            await _came(receiver, before)
            await until_checkpointed(at["redis"], client.nats)
            shutil.copytree(store, tmp_path / "copy")
            receiver.answers["/two"] = [500]
            lost = await _send(client, 40)
            await _came(receiver, lost, "/one")
            await until_checkpointed(at["redis"], client.nats)
        servers = server_pids(program.data).values()
        program.kill()
        async with asyncio.timeout(PATIENCE):  # the servers end with it
            while any(Path(f"/proc/{pid}").exists() for pid in servers):
                await asyncio.sleep(0.02)
        shutil.rmtree(store)
        shutil.copytree(tmp_path / "copy", store)
        receiver.answers["/two"] = [200]
        await program.start()
        await _came(receiver, lost)
        assert await program.stop() == 0
    finally:
        await program.stop()
    counts = Counter(request.json["id"] for request in receiver.requests_to("/one"))
    assert all(counts[item] == 1 for item in before)


async def test_redis_loses_everything(gateway: Running, client: Client, receiver: Receiver) -> None:
    """Webhooks, streams and keys are in NATS; the log is read again."""
    secret = await client.http.put("/v1/secrets/theirs", json={"value": "a-token"})
    assert secret.status_code == 201
    stream = {"name": "all", "subjects": ["load.>"], "retention": "1d"}
    assert (await client.http.post("/v1/streams", json=stream)).status_code == 201
    await client.webhook(
        id="one", url=f"{receiver.url}/one", events=["load.*"], enabled=False,
        security={"auth_type": "bearer_token", "secret_name": "theirs"},
    )  # fmt: skip
    waiting = await _send(client, 300)
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/one/stats")).json()["queue_depth"] < 300:
            await asyncio.sleep(0.05)
    await until_checkpointed(gateway.redis_url, client.nats)
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        await store.flushall()
        async with asyncio.timeout(PATIENCE):
            while await store.zcard("queue:one") < 300:
                await asyncio.sleep(0.1)
        assert await store.exists("webhook:one")
        async with asyncio.timeout(PATIENCE):
            while not await store.sismember("paused", "one"):
                await asyncio.sleep(0.1)
    listed = (await client.http.get("/v1/webhooks")).json()["items"]
    assert [item["id"] for item in listed] == ["one"]
    assert [item["name"] for item in (await client.http.get("/v1/streams")).json()["items"]] == [
        "all"
    ]
    assert receiver.requests == []
    await client.http.post("/v1/webhooks/one/enable")
    await _came(receiver, waiting, "/one")
    assert receiver.requests[0].headers["authorization"] == "Bearer a-token"
    assert len(receiver.requests) == 300


async def test_an_outage_is_logged_at_its_beginning_and_at_its_end(
    gateway: Running, client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.webhook(id="one", url=f"{receiver.url}/one", events=["load.*"])
    sent = await _send(client, 5)
    await _came(receiver, sent, "/one")
    await until_checkpointed(gateway.redis_url, client.nats)
    left = 3

    async def fails(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise NatsTimeout
        return await read_page(*arguments, **options)

    monkeypatch.setattr(rereading, "read_page", fails)
    with capture_logs() as logged:
        async with (
            redis.asyncio.from_url(gateway.redis_url) as store,
            asyncio.timeout(PATIENCE),
        ):
            await store.flushall()
            while not any(line["event"] == "the log is reread" for line in logged):
                await asyncio.sleep(0.05)
    about = [line for line in logged if "interrupt" in line["event"]]
    assert [(line["log_level"], line.get("count")) for line in about] == [
        ("warning", None), ("info", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("reread", [True, False])
async def test_manual_repair_waits_for_a_request(
    tmp_path: Path, receiver: Receiver, reread: bool
) -> None:
    program = Program(tmp_path, _config(receiver) | {"repair": "manual"})
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            assert (await _ready(client.http))["reasons"] == []
            nothing = await client.http.post("/v1/repair", json={"reread": True})
            assert nothing.status_code == 409
            sent = await _send(client, 20)
            await _came(receiver, sent)
            await until_checkpointed(at["redis"], client.nats)
            async with redis.asyncio.from_url(at["redis"]) as store:
                await store.flushall()
            async with asyncio.timeout(PATIENCE):
                while True:
                    body = (await client.http.get("/readyz")).json()
                    if body["reasons"]:
                        break
                    await asyncio.sleep(0.1)
            assert body == {
                "status": "degraded",
                "reasons": ["GATEWAY_EVENTS waits for POST /v1/repair: Redis has lost its records"],
            }
            count = len(receiver.requests)
            more = await _send(client, 5)
            await _came(receiver, more)
            assert len(receiver.requests) == count + 10, "new events go on"
            found = await client.http.get(f"/v1/events/{next(iter(more))}")
            told = [each["why"] for each in found.json()["unknown"]]
            assert any("Redis may have lost entries of the index" in why for why in told), told
            answer = await client.http.post("/v1/repair", json={"reread": reread})
            assert (answer.status_code, answer.json()) == (202, {"streams": ["GATEWAY_EVENTS"]})
            await _ready(client.http)
            async with asyncio.timeout(PATIENCE):
                while "Redis may have lost" in found.text:
                    await asyncio.sleep(0.1)
                    found = await client.http.get(f"/v1/events/{next(iter(more))}")
            assert found.status_code == 200
            if reread:
                async with asyncio.timeout(PATIENCE):
                    while len(receiver.requests) < count + 10 + 40:
                        await asyncio.sleep(0.1)
            else:
                await asyncio.sleep(2)
                assert len(receiver.requests) == count + 10
            bad = await client.http.post("/v1/repair", json={"reread": "maybe"})
            assert bad.status_code == 422
        assert await program.stop() == 0
    finally:
        await program.stop()


async def test_a_restart_repeats_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """Events after the checkpoint are looked up, and have their records."""
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            sent = await _send(client, 200)
            await _came(receiver, sent)
            for name in HOOKS:  # until all are recorded; the checkpoint may not cover them yet
                async with asyncio.timeout(PATIENCE):
                    while (await _stats(client, name))["succeeded"] < len(sent):
                        await asyncio.sleep(0.05)
        program.kill()
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _ready(client.http)
            await asyncio.sleep(3)
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert len(receiver.requests) == 400


async def test_redis_is_down_for_a_while(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    """Attempts in flight finish, their outcomes are held, none begins, nothing is acknowledged
    that is not recorded, intake answers; and all carries on by itself."""
    nats_url, redis_url = servers
    own = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, _config(receiver) | own)
    receiver.delays["/one"] = [2.0] * 4 + [0.0]
    pid = int((tmp_path / "servers" / "valkey.pid").read_text())
    try:
        at = await program.start()
        async with connected(at["http"], nats_url, at["key"]) as client:
            flying = await _send(client, 4)
            await receiver.until(4, "/one")
            stop_process(pid)  # it does not answer
            waiting = await _send(client, 20)
            async with asyncio.timeout(PATIENCE):
                while True:  # there are other reasons, too: routing is behind after 10 s
                    health = (await client.http.get("/readyz")).json()
                    if "redis unreachable" in health["reasons"]:
                        break
                    await asyncio.sleep(0.1)
            assert health["status"] == "degraded"
            await asyncio.sleep(2)
            started = {request.json["id"] for request in receiver.requests}
            more = await _send(client, 20)
            await asyncio.sleep(1.5)
            assert not more & {request.json["id"] for request in receiver.requests}
            info = await client.nats.jetstream().consumer_info("GATEWAY_EVENTS", "router")
            assert info.num_ack_pending + info.num_pending >= 20 + len(waiting - started)
            os.kill(pid, signal.SIGCONT)
            await _came(receiver, flying | waiting | more)
            await _ready(client.http)
            for item in flying:
                delivery = await client.until("one", item, "succeeded")
                assert len(delivery["attempts"]) == 1, "its outcome was held"
        assert await program.stop() == 0
    finally:
        os.kill(pid, signal.SIGCONT)
        await program.stop()
    counts = Counter(request.json["id"] for request in receiver.requests_to("/one"))
    assert all(counts[item] == 1 for item in flying | more)
    assert "Traceback" not in program.output
    assert json.dumps("the ledger in Redis can be reached again") in program.output
