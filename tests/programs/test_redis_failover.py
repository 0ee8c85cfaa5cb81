"""Sentinel and Cluster: the gateway follows the primary, and no event is lost on the way."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from event_gateway.state import sentinels
from event_gateway.state.login import RedisLogin
from event_gateway.state.sentinels import Sentinels
from support.client import Client, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver
from support.valkey_servers import MASTER, Cluster, Replicated, Server, until
from support.valkey_servers import running as run_servers

SHAPES: dict[str, Callable[[Path], Replicated | Cluster]] = {
    "sentinel": lambda directory: Replicated(directory, replicas=2, down_after=1000),
    "cluster": lambda directory: Cluster(directory, node_timeout=1500),
}


async def _all_arrive(client: Client, receiver: Receiver, sent: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while set(sent) - {request.json["id"] for request in receiver.requests_to("/w")}:
            await asyncio.sleep(0.05)
    for event_id in sent:
        await client.until("w", event_id, "succeeded")


async def _send(client: Client, count: int) -> list[str]:
    events = [event("load.made") for _ in range(count)]
    for sent in events:
        await client.send(sent)
    return [sent["id"] for sent in events]


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_gateway_follows_the_primary(
    tmp_path: Path, receiver: Receiver, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_servers(SHAPES[shape](tmp_path)) as servers:
        if isinstance(servers, Replicated):
            await _is_found_without_a_sentinel_that_hangs(servers, monkeypatch)
        webhook = {"url": f"{receiver.url}/w", "events": ["load.*"]}
        waiting = {"url": f"{receiver.url}/late", "events": ["wait.*"]}
        policy = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "200ms"}
        program = Program(
            tmp_path,
            LOOPBACK
            | {
                "redis": servers.config,
                "webhooks": {
                    "w": webhook | {"retry_policy": policy},
                    "late": waiting | {"retry_policy": policy},
                },
            },
        )
        receiver.answers["/late"] = [500]
        async with running(program) as client:
            sent = await _send(client, 5)
            await _all_arrive(client, receiver, sent)
            late = event("wait.made")
            await client.send(late)
            await client.until("late", late["id"], "retrying")
            for end in (Server.kill, Server.pause):
                primary = await servers.primary()
                await _moves(servers, primary, end)
                sent += await _send(client, 5)
                await _all_arrive(client, receiver, sent)
                primary.start()
                primary.go_on()
                await until(servers.is_ready, "the former primary does not follow")
            receiver.answers["/late"] = [200]
            await client.until("late", late["id"], "succeeded")
            async with asyncio.timeout(PATIENCE):
                while (await client.http.get("/readyz")).json()["reasons"]:
                    await asyncio.sleep(0.1)
        assert "another Redis server is the primary now" in program.output
        assert "Traceback" not in program.output, program.output


async def _is_found_without_a_sentinel_that_hangs(
    servers: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinels, "WAIT", 100 * PATIENCE)
    asked = Sentinels(
        [("127.0.0.1", each.port) for each in servers.sentinels], MASTER, RedisLogin()
    )
    servers.sentinels[1].pause()
    async with asyncio.timeout(PATIENCE):
        found = await asked.find()
    servers.sentinels[1].go_on()
    assert found == ("127.0.0.1", (await servers.primary()).seen)
    await asked.close()


async def _moves(
    servers: Replicated | Cluster, primary: Server, end: Callable[[Server], None]
) -> None:
    end(primary)

    async def moved() -> bool:
        return await servers.primary() is not primary

    await until(moved, "no other server becomes the primary")
