"""A NATS cluster: the gateway's streams have as many replicas as configured."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from support.client import connected, event
from support.nats_servers import NatsCluster
from support.program import LOOPBACK, Program

# Seconds. Where a source cannot be read, nats-server tries again after 10 s, 20 s … 2 minutes.
SOURCE_RETRIES = 480.0


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
    async with contextlib.AsyncExitStack() as stack:
        cluster = NatsCluster(tmp_path)
        await cluster.start(stack)
        urls = [server.url for server in cluster.servers]
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
                    cluster.servers[0].kill()
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
