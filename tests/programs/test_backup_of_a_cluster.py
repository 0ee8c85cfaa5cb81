"""A backup of a gateway whose state is in a Redis Cluster, and its restoration onto one."""

import shutil
from pathlib import Path

from support.client import event
from support.command import command
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver
from support.valkey_servers import Cluster
from support.valkey_servers import running as run_servers


async def test_a_gateway_goes_on_from_a_backup_of_a_cluster(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with run_servers(Cluster(tmp_path, node_timeout=5000)) as servers:
        policy = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "500ms"}
        config = LOOPBACK | {
            "redis": servers.config,
            "webhooks": {
                name: {"url": f"{receiver.url}/{name}", "events": [f"{name}.*"],
                       "retry_policy": policy}
                for name in ("up", "down")
            },
        }  # fmt: skip
        receiver.answers["/down"] = [500]
        program = Program(tmp_path, config)
        delivered, waiting = event("up.made"), event("down.made")
        async with running(program) as client:
            await client.send([delivered, waiting])
            await client.until("up", delivered["id"], "succeeded")
            await client.until("down", waiting["id"], "retrying")
            words = ["-c", str(tmp_path / "gateway.yaml"), "--data-dir", str(program.data)]
            made = await command("backup", str(tmp_path / "copy"), *words)
            assert made.status == 0, made.err
        await (await servers.primary()).tell("FLUSHALL")
        receiver.requests.clear()
        receiver.answers["/down"] = [200]
        (tmp_path / "other").mkdir()
        other = Program(tmp_path / "other", config)
        words = ["-c", str(tmp_path / "other/gateway.yaml"), "--data-dir", str(other.data)]
        restored = await command("restore", str(tmp_path / "copy"), *words)
        assert restored.status == 0, restored.err
        shutil.copy(program.data / "sealing.key", other.data / "sealing.key")
        async with running(other) as client:
            await client.until("down", waiting["id"], "succeeded")
            await client.until("up", delivered["id"], "succeeded")
        assert not receiver.requests_to("/up")
