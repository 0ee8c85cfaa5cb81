"""A NATS cluster: the gateway's streams have as many replicas as configured."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from event_gateway.app.copy_watch import CopyWatch
from event_gateway.broker.connection import connect
from support.client import connected, event
from support.nats_servers import NatsCluster
from support.patience import PATIENCE
from support.program import LOOPBACK, Program

COPY = "GATEWAY_STREAM_work"


async def _copied(js: JetStreamContext) -> bool:
    """Whether each replica of the log and of the named stream has all messages."""
    for name in ("GATEWAY_EVENTS", COPY):
        cluster = (await js.stream_info(name)).cluster
        if not cluster or not cluster.leader:
            return False
        if not all(replica.current for replica in cluster.replicas or []):
            return False
    return True


async def _change_leader(cluster: NatsCluster) -> None:
    """Tells the watch that the copy has heard nothing for a minute, twice: it acts once."""
    broker = await connect(cluster.url)
    watch = CopyWatch(broker)
    infos = {str(info.config.name): info for info in await broker.js.streams_info()}
    (source,) = infos[COPY].sources or []
    assert source.active is not None, "NATS says when it heard from each source"
    leaders = []
    for source.active in (10**8, 60 * 10**9, 60 * 10**9):
        await watch.look(infos, [COPY], change=True)
        leaders.append((await cluster.leader(COPY)).name)
    assert leaders[0] != leaders[1] == leaders[2]
    await broker.close()


@pytest.mark.timeout(600)
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
                    assert (await socket.next(PATIENCE))["seq"] == 1
                    # A server that has no copy yet cannot take over.
                    async with asyncio.timeout(PATIENCE):
                        while not await _copied(js):
                            await asyncio.sleep(0.2)
                    await _change_leader(cluster)
                    await client.send(event("user.a"))
                    assert (await socket.next(PATIENCE))["seq"] == 2
                    cluster.servers[0].kill()
                    async with asyncio.timeout(PATIENCE):
                        sent = event("user.a")
                        while (await client.http.post("/v1/events", json=sent, headers={
                            "Content-Type": "application/cloudevents+json"})
                        ).status_code != 202:  # fmt: skip
                            await asyncio.sleep(0.5)
                        while (frame := await socket.next(PATIENCE))["type"] != "event":
                            pass
                    assert (frame["seq"], frame["event"]["id"]) == (3, sent["id"])
        finally:
            await program.stop()
