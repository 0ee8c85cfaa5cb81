"""Health: announced once for each episode, whatever dies; shown to people."""

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from event_gateway.broker.stream_page import read_page
from event_gateway.cli.process.serve import Running
from event_gateway.observability import health, health_leader
from support.bus import connect_bus
from support.client import Client, event
from support.fixtures import Command, Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program, server_pids
from support.receiver import Receiver
from support.secured_servers import valkey
from support.stopping import stop_process

BAD = "webhook.bad"  # an entry of the registry that cannot be read: a reason


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes begin and end within a second."""
    monkeypatch.setattr(health, "INTERVAL", 0.05)
    monkeypatch.setattr(health, "CALM", 0.05)
    monkeypatch.setattr(health_leader, "INTERVAL", 0.05)
    monkeypatch.setattr(health, "DEGRADED_AFTER", 0.2)
    monkeypatch.setattr(health, "RECOVERED_AFTER", 0.4)


async def _announced(nats_url: str) -> list[dict[str, Any]]:
    """The health events that the lifecycle log holds."""
    client = await connect_bus(nats_url)
    try:
        js = client.jetstream()
        subscription = await js.pull_subscribe("gateway.health.>", stream="GATEWAY_LIFECYCLE")
        pending = (await subscription.consumer_info()).num_pending or 0
        messages = await subscription.fetch(pending, timeout=PATIENCE) if pending else []
        return [json.loads(message.data) for message in messages]
    finally:
        await client.close()


async def _until(
    client: Client, nats_url: str, status: str, types: list[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Waits until the health has a status and these types of events are announced."""
    shown: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Exception):  # a server is away at times
                    shown = (await client.http.get("/v1/health")).json()
                    events = await _announced(nats_url)
                    if shown["status"] == status and [e["type"] for e in events] == types:
                        return shown, events
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError((shown, events)) from None


def _types(*words: str) -> list[str]:
    return [f"gateway.health.{word}" for word in words]


@pytest.mark.usefixtures("quick")
async def test_an_episode(start: Start, connect: Start, tmp_path: Path) -> None:
    gateway: Running = await start()
    client: Client = await connect(gateway)
    http, url = client.http, gateway.nats_url
    shown, _ = await _until(client, url, "ok", [])
    assert (shown["since"], shown["reasons"], shown["announced"]) == (None, [], False)
    assert {component["status"] for component in shown["components"].values()} == {"ok"}
    assert shown["components"]["disk"]["free_bytes"] > 0
    assert shown["components"]["memory"]["resident_bytes"] > 10_000_000
    assert shown["components"]["nats"]["connected"]
    assert re.fullmatch(r"2\.\d+\.\d+", shown["components"]["nats"]["server_version"])
    (process,) = shown["processes"]
    assert (process["pid"], process["leader"], process["answers"]) == (os.getpid(), True, True)
    assert (await client.nats.jetstream().stream_info("KV_GATEWAY_STATUS")).state.messages == 0

    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    await bucket.put(BAD, b"no JSON")
    shown, (began,) = await _until(client, url, "degraded", _types("degraded"))
    text = f"the registry's entry {BAD} is left out"
    (reason,) = shown["reasons"]
    assert reason | {"since": ""} == {
        "code": "registry_entry", "text": text, "since": "", "component": "registry",
        "processes": [f"{process['host']}/{os.getpid()}"], "see": "",
        "remedy": reason["remedy"],
    }  # fmt: skip
    assert "Replace it" in reason["remedy"]
    assert shown["components"]["registry"]["status"] == "degraded"
    assert shown["since"] == reason["since"] == began["data"]["since"] == began["time"]
    assert (began["source"], began["subject"]) == ("event-gateway", "gateway")
    assert began["data"]["reasons"] == [
        {key: reason[key] for key in ("code", "text", "since", "processes")}
    ]
    assert (await http.get("/readyz")).json() == {"status": "degraded", "reasons": [text]}
    metrics = (await http.get("/metrics")).text
    assert "event_gateway_health_degraded 1.0" in metrics
    assert 'event_gateway_health_reasons{code="registry_entry"} 1.0' in metrics

    # NATS goes away and comes back: that is the same episode.
    os.kill(server_pids(tmp_path / "data")["nats"], signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        while (await http.get("/readyz")).status_code != 503:
            await asyncio.sleep(0.05)
    shown, _ = await _until(client, url, "degraded", _types("degraded"))
    # Nothing repeats the announcement, although the bucket that remembers it is deleted.
    async with asyncio.timeout(PATIENCE):
        while "KV_GATEWAY_STATUS" not in gateway.gateway._upkeep._created:
            await asyncio.sleep(0.05)
    adapters = gateway.gateway.stages.adapters
    async with asyncio.timeout(PATIENCE):
        while True:  # a request just after the restart may get no answer
            with contextlib.suppress(TimeoutError):
                await adapters.broker.js.delete_stream("KV_GATEWAY_STATUS")
                break
    leader = gateway.gateway.stages.observability.leader
    async with asyncio.timeout(PATIENCE):
        state = None
        while state is None or state.status != "degraded" or not state.announced:
            await asyncio.sleep(0.05)
            with contextlib.suppress(Exception):
                state = await leader.stored()

    await bucket.purge(BAD)
    async with asyncio.timeout(PATIENCE):
        while (shown := (await http.get("/v1/health")).json())["status"] == "degraded":
            # Between the last reason and the recovery it says so, and what the reasons were.
            assert shown["recovering"] is not bool(shown["reasons"]), shown
            assert shown["recovering"] is bool(shown["last_reasons"]), shown
            await asyncio.sleep(0.05)
    shown, (began, last) = await _until(client, url, "ok", _types("degraded", "recovered"))
    assert shown["reasons"] == []
    assert shown["since"] == last["time"] == last["data"]["recovered_at"]
    assert last["data"]["since"] == began["data"]["since"]
    assert last["id"] != began["id"]
    metrics = (await http.get("/metrics")).text
    assert "event_gateway_health_degraded 0.0" in metrics
    assert "event_gateway_health_reasons{" not in metrics
    page = await read_page(adapters.broker, "KV_GATEWAY_STATUS")
    assert len(page.messages) == 1


@pytest.mark.usefixtures("quick")
async def test_an_outage_of_nats_is_announced_when_it_is_back(
    start: Start, connect: Start, tmp_path: Path
) -> None:
    gateway: Running = await start()
    client: Client = await connect(gateway)
    repair = gateway.gateway.stages.routing.repair
    async with asyncio.timeout(PATIENCE):
        while repair._pending or not repair._known:  # the look at the log after the start
            await asyncio.sleep(0.02)
    pid = server_pids(tmp_path / "data")["nats"]
    stop_process(pid)  # connected, and no answers: the keeper does not restart it
    try:
        async with asyncio.timeout(PATIENCE):
            while not gateway.gateway.stages.observability.health.tracker.state.began:
                await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE):
            codes: list[str] = []
            while codes != ["nats_unreachable"]:
                answer = (await client.http.get("/v1/health")).json()
                codes = [reason["code"] for reason in answer["reasons"]]
        assert (answer["status"], answer["announced"]) == ("degraded", False)
    finally:
        os.kill(pid, signal.SIGCONT)
    _, (began, ended) = await _until(
        client, gateway.nats_url, "ok", _types("degraded", "recovered")
    )
    assert "nats_unreachable" in {reason["code"] for reason in began["data"]["reasons"]}
    assert began["time"] < ended["time"]


@pytest.mark.usefixtures("quick")
async def test_redis_away_is_noticed_without_traffic(
    start: Start, connect: Start, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(contextlib.AsyncExitStack())
        port = await redis.enter_async_context(valkey(tmp_path))
        gateway: Running = await start({"redis": {"url": f"redis://127.0.0.1:{port}"}})
        client: Client = await connect(gateway)
        await redis.aclose()
        shown, (began,) = await _until(client, gateway.nats_url, "degraded", _types("degraded"))
        assert [reason["code"] for reason in began["data"]["reasons"]] == ["redis_unreachable"]
        assert shown["components"]["redis"] == {
            "status": "degraded", "reachable": False, "changes_not_written": 0,
        }  # fmt: skip
        assert (await client.http.get("/readyz")).status_code == 200


@pytest.mark.usefixtures("quick")
async def test_who_may_see_the_health(gateway: Running, client: Client, run: Command) -> None:
    async def status(**of_key: Any) -> int:
        made = await client.http.post("/v1/keys", json={"name": "k", **of_key})
        assert made.status_code == 201, made.text
        headers = {"Authorization": f"Bearer {made.json()['key']}"}
        async with httpx.AsyncClient(
            base_url=gateway.http_url, headers=headers, timeout=PATIENCE
        ) as http:
            return (await http.get("/v1/health")).status_code

    assert await status(scopes=["metrics:read"]) == 200
    assert await status(scopes=["webhooks:manage", "deliveries:manage"]) == 403
    assert await status(scopes=["metrics:read"], namespaces=["a"]) == 403
    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    await bucket.put(BAD, b"no JSON")
    await _until(client, gateway.nats_url, "degraded", _types("degraded"))
    printed = await run("health")
    assert printed.out.startswith("degraded since ")
    assert f"registry_entry: the registry's entry {BAD} is left out\n" in printed.out
    assert "Replace it" in printed.out
    async with asyncio.timeout(PATIENCE):  # until the size of the log is known
        while "log 0 B" not in (printed := await run("health")).out:
            await asyncio.sleep(0.05)
    assert "log_max" not in printed.out  # it has no limit
    answer = json.loads((await run("health", "--json")).out)
    assert answer["reasons"][0]["code"] == "registry_entry"


async def test_one_episode_whichever_process_dies(
    peers: Peers, stack: contextlib.AsyncExitStack, tmp_path: Path, receiver: Receiver
) -> None:
    """The leader is killed in an episode, then every process, and another one ends it."""
    config = {"ingest": {"max_bytes": "128KiB"}}
    first, second = await peers.start(stack, config, config)
    url, js = peers.servers[0], first.nats.jetstream()
    # The log is nearly full.
    await first.send([event("load.made", "x" * 20_000) for _ in range(6)])
    shown, (began,) = await _until(first, url, "degraded", _types("degraded"))
    by_pid = dict(zip((program.pid for program in peers.programs), (first, second), strict=True))
    (reason,) = shown["reasons"]
    assert {place.rpartition("/")[2] for place in reason["processes"]} == {*map(str, by_pid)}
    leader = _leader(shown)
    peers.programs[[*by_pid].index(leader)].kill()
    other = next(client for pid, client in by_pid.items() if pid != leader)

    async def shows(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not condition(found := (await other.http.get("/v1/health")).json()):
                await asyncio.sleep(0.1)
        return dict(found)

    shown = await shows(lambda found: {r["code"] for r in found["reasons"]} == {
        "log_nearly_full", "process_lost",
    })  # fmt: skip
    assert _leader(shown) != leader
    assert shown["since"] == began["data"]["since"]
    for program in peers.programs:
        if program.runs:
            program.kill()
    directory = tmp_path / "late"
    directory.mkdir()
    servers = {"nats": {"url": url}, "redis": {"url": peers.servers[1]}}
    late = Program(directory, LOOPBACK | servers | config)
    peers.programs.append(late)
    at = await late.start()
    other.http.base_url = httpx.URL(at["http"])
    other.http.headers["Authorization"] = f"Bearer {at['key']}"
    await shows(lambda found: [r["code"] for r in found["reasons"]] == ["log_nearly_full"])
    await js.purge_stream("GATEWAY_EVENTS")
    shown, (_, last) = await _until(other, url, "ok", _types("degraded", "recovered"))
    assert last["data"]["since"] == began["data"]["since"]


def _leader(shown: dict[str, Any]) -> int:
    return next(int(process["pid"]) for process in shown["processes"] if process["leader"])
