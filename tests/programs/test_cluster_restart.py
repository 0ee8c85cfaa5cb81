"""A gateway that starts while its whole NATS cluster starts again with its data."""

import contextlib
from pathlib import Path

from support.nats_servers import NatsCluster
from support.program import LOOPBACK, Program


async def test_a_gateway_waits_for_the_leaders_of_its_streams(
    tmp_path: Path, servers: tuple[str, str]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        cluster = NatsCluster(tmp_path)
        await cluster.start(stack)
        nats, redis = {"url": cluster.url, "replicas": 3}, {"url": servers[1]}
        program = Program(tmp_path, LOOPBACK | {"nats": nats, "redis": redis})
        await program.start()
        await cluster.until_copied()
        assert await program.stop() == 0
        for server in cluster.servers:
            server.kill()
        for server in cluster.servers:
            server.start()
        await program.start()
        assert await program.stop() == 0
        assert "Traceback" not in program.output, program.output
