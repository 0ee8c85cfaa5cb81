"""A NATS cluster: the gateway's streams have as many replicas as configured."""

import asyncio
import contextlib
import itertools
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from event_gateway.broker.connection import BrokerError
from event_gateway.embedded.process import killed_with_parent
from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program


def _ports(count: int) -> list[int]:
    result = [socket.socket() for _ in range(count)]
    for item in result:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in result]
    for item in result:
        item.close()
    return ports


Server = subprocess.Popen[bytes]
# Seconds. Where a source cannot be read, nats-server tries again after 10 s, 20 s … 2 minutes.
SOURCE_RETRIES = 480.0


@contextlib.asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[tuple[list[str], list[Server]]]:
    """Three servers: their URLs, and their processes."""
    for attempt in itertools.count():
        urls, servers = _start(directory / f"cluster-{attempt}")
        try:
            if not await _formed(urls, servers):
                continue  # another process has taken one of the ports
            yield urls, servers
            return
        finally:
            for server in servers:
                server.kill()
                server.wait()


def _start(directory: Path) -> tuple[list[str], list[Server]]:
    directory.mkdir()
    binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    assert binary is not None
    clients, routes = _ports(3), _ports(3)
    peers = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    servers = []
    for number, (client, route) in enumerate(zip(clients, routes, strict=True)):
        file = directory / f"nats-{number}.conf"
        file.write_text(
            f'server_name: n{number}\nlisten: "127.0.0.1:{client}"\n'
            f'jetstream {{store_dir: "{directory}/js-{number}"}}\n'
            f'cluster {{name: c, listen: "127.0.0.1:{route}", routes: [{peers}]}}\n'
        )
        servers.append(
            subprocess.Popen([binary, "-c", str(file)], stderr=subprocess.DEVNULL,
                             preexec_fn=killed_with_parent)
        )  # fmt: skip
    return [f"nats://127.0.0.1:{port}" for port in clients], servers


async def _formed(urls: list[str], servers: list[Server]) -> bool:
    """Waits until a stream can be replicated three times; False if a server has ended."""
    async with asyncio.timeout(PATIENCE):
        while all(server.poll() is None for server in servers):
            with contextlib.suppress(*BrokerError):
                bus = await nats.connect(urls, connect_timeout=1, max_reconnect_attempts=1)
                try:
                    js = bus.jetstream(timeout=2)
                    await js.add_stream(name="probe", subjects=["probe"], num_replicas=3)
                    await js.delete_stream("probe")
                    return True
                finally:
                    await bus.close()
            await asyncio.sleep(0.5)
    return False


async def _copied(js: JetStreamContext) -> bool:
    """Whether each replica of the log and of the named stream has all messages."""
    for name in ("GATEWAY_EVENTS", "GATEWAY_STREAM_work"):
        cluster = (await js.stream_info(name)).cluster
        if not cluster or not cluster.leader:
            return False
        if not all(replica.current for replica in cluster.replicas or []):
            return False
    return True


@pytest.mark.timeout(1500)
async def test_streams_have_their_replicas_and_survive_a_server(
    tmp_path: Path, servers: tuple[str, str]
) -> None:
    async with cluster(tmp_path) as (urls, processes):
        config = LOOPBACK | {
            "nats": {"url": ",".join(urls)}, "redis": {"url": servers[1]},
            "streams": {"work": {"subjects": ["user.*"]}},
        }  # fmt: skip
        program = Program(tmp_path, config)
        at = await program.start()
        try:
            async with connected(at["http"], urls[0], at["key"]) as client:
                js = client.nats.jetstream()

                async def replicas() -> dict[str, int | None]:
                    return {
                        str(item.config.name).rpartition("_")[2]: item.config.num_replicas
                        for item in await js.streams_info()
                    }

                assert set((await replicas()).values()) == {1}
                first = {"name": "one", "subjects": ["user.*"], "replicas": 1}
                assert (await client.http.post("/v1/streams", json=first)).status_code == 201
            assert await program.stop() == 0
            program.configure(config | {"nats": {"url": ",".join(urls), "replicas": 3}})
            at = await program.start()
            async with connected(at["http"], urls[1], at["key"]) as client:
                js = client.nats.jetstream()
                result = await replicas()
                assert result.pop("one") == 1
                assert set(result.values()) == {3}, result
                async with client.websocket() as socket:
                    await socket.request(action="subscribe", stream="work")
                    await client.send(event("user.a"))
                    assert (await socket.next(SOURCE_RETRIES))["seq"] == 1
                    # A server that has no copy yet cannot take over.
                    async with asyncio.timeout(SOURCE_RETRIES):
                        while not await _copied(js):
                            await asyncio.sleep(0.2)
                    processes[0].kill()
                    async with asyncio.timeout(SOURCE_RETRIES):
                        sent = event("user.a")
                        while (await client.http.post("/v1/events", json=sent, headers={
                            "Content-Type": "application/cloudevents+json"})
                        ).status_code != 202:  # fmt: skip
                            await asyncio.sleep(0.5)
                        while (frame := await socket.next(SOURCE_RETRIES))["type"] != "event":
                            pass
                    assert (frame["seq"], frame["event"]["id"]) == (2, sent["id"])
        finally:
            await program.stop()
