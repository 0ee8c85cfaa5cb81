"""A Redis that answers, but does not do what it is asked for: it is said what is wrong with it."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from event_gateway.state.condition import condition_of
from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, server_pids
from support.receiver import Receiver
from support.secured_servers import valkey
from support.stopping import stop_process

OOM = ("CONFIG", "SET", "maxmemory", "1")
NO_OOM = ("CONFIG", "SET", "maxmemory", "0")
REPLICA = ("REPLICAOF", "127.0.0.1", "1")
PRIMARY = ("REPLICAOF", "NO", "ONE")
NO_SCRIPTS = ("ACL", "SETUSER", "default", "-evalsha", "-eval")
SCRIPTS = ("ACL", "SETUSER", "default", "+@all")
EVICTION = ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
NO_EVICTION = ("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def _until_reason(client: Client, says: str | None) -> None:
    """Sends events until ``/readyz`` gives that reason (None: no reason)."""
    reasons: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await client.send(event("load.made"))
                ready = (await client.http.get("/readyz")).json()
                reasons = ready["reasons"]
                if not reasons if says is None else any(says in reason for reason in reasons):
                    assert "redis unreachable" not in reasons
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{says} is not in {reasons}") from None


async def test_what_is_wrong_with_redis_is_named(tmp_path: Path, receiver: Receiver) -> None:
    webhook = {"url": f"{receiver.url}/w", "events": ["load.*"]}
    async with valkey(tmp_path, "--appendonly", "yes") as port:
        url = f"redis://127.0.0.1:{port}"
        config: dict[str, Any] = LOOPBACK | {"redis": {"url": url}, "webhooks": {"w": webhook}}
        program = Program(tmp_path, config)
        at = await program.start()
        admin: Any = redis.asyncio.from_url(url)
        try:
            async with connected(at["http"], at["nats"], at["key"]) as client:
                for cause, cure, says in (
                    (OOM, NO_OOM, "OOM"),
                    (REPLICA, PRIMARY, "READONLY"),
                    (NO_SCRIPTS, SCRIPTS, "NOPERM"),
                    (EVICTION, NO_EVICTION, "maxmemory-policy allkeys-lru"),
                ):
                    await admin.execute_command(*cause)
                    await _until_reason(client, says)
                    await admin.execute_command(*cure)
                    await _until_reason(client, None)
                await admin.execute_command("CONFIG", "SET", "requirepass", "secret")
                await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await _until_reason(client, "NOAUTH")
                await _until_refused(client, "NOAUTH")
                await admin.execute_command("CONFIG", "SET", "requirepass", "")
                await _until_reason(client, None)
        finally:
            await admin.aclose()
            await program.stop()
    for says in ("OOM", "READONLY", "NOPERM", "NOAUTH", "maxmemory-policy allkeys-lru"):
        assert says in program.output
    assert "Traceback" not in program.output, program.output


async def _until_refused(client: Client, says: str) -> None:
    """Asks for a delivery until the refusal says so: a connection that the server closed while it
    was idle says only that Redis cannot be reached."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.http.get("/v1/deliveries/w/none")
            assert answer.status_code == 503, answer.text
            if says in answer.json()["detail"]:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("MISCONF Errors writing to the AOF file: No space left on device", "cannot write to its"),
        ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("OOM command not allowed when used memory > 'maxmemory'. script: a, on @b", "of memory"),
    ],
)
def test_conditions_of_other_servers(answer: str, says: str) -> None:
    assert says in condition_of(ResponseError(answer))


async def test_live_subscribers_go_on_while_redis_hangs(tmp_path: Path) -> None:
    program = Program(tmp_path, {})
    at = await program.start()
    pid = server_pids(program.data)["valkey"]
    try:
        async with (
            connected(at["http"], at["nats"], at["key"]) as client,
            client.http.stream("GET", "/v1/streams/all/sse") as missing,
        ):
            assert missing.status_code == 404
            created = await client.http.post(
                "/v1/streams", json={"name": "all", "subjects": ["load.*"]}
            )
            assert created.status_code == 201, created.text
            async with client.http.stream("GET", "/v1/streams/all/sse?from=new") as live:
                lines = live.aiter_lines()
                stop_process(pid)
                began = time.monotonic()
                async with asyncio.timeout(PATIENCE):
                    for _ in range(16):
                        sent = event("load.made")
                        await client.send(sent)
                        while True:
                            line = await anext(lines)
                            if line.startswith("data:") and sent["id"] in line:
                                assert '"incomplete":true' in line
                                break
                # With a wait for Redis before each it would be 80 s.
                assert time.monotonic() - began < 60
    finally:
        os.kill(pid, signal.SIGCONT)
        await program.stop()
