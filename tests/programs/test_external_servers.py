"""External NATS and Redis: what the gateway requires of them, and its errors."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import nats_binary, usable_port, valkey_binary
from event_gateway.state.records import FORMAT
from support.patience import PATIENCE
from support.program import Program
from support.secured_servers import until_accepts

Run = Callable[..., Any]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Starts a server with these arguments on a free port, and yields the port."""
    with contextlib.ExitStack() as stack:

        async def begin(*command: str, port_option: str) -> int:
            port = usable_port()
            process = subprocess.Popen(
                [*command, port_option, str(port)], cwd=tmp_path, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, preexec_fn=killed_with_parent,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            await until_accepts(port)
            return port

        yield begin


async def _refused(tmp_path: Path, config: dict[str, Any]) -> str:
    program = Program(tmp_path, config)
    assert await program.start_fails() == 1
    assert "Traceback" not in program.output
    assert "hunter2" not in program.output
    assert "does not respond yet" not in program.output, "it has tried again"
    return program.last_line


async def _tries_again(program: Program, starts: int) -> None:
    """Waits until a server has not answered the program at so many starts."""
    async with asyncio.timeout(PATIENCE):
        while program.output.count("does not respond yet") < starts:
            await asyncio.sleep(0.05)


async def test_nats_without_jetstream(tmp_path: Path, run: Run) -> None:
    port = await run(nats_binary(), "-a", "127.0.0.1", port_option="-p")
    line = await _refused(tmp_path, {"nats": {"url": f"nats://127.0.0.1:{port}"}})
    assert f"nats://127.0.0.1:{port} has no JetStream" in line


async def test_a_wrong_password_is_reported_at_once(tmp_path: Path, run: Run) -> None:
    port = await run(
        nats_binary(), "-a", "127.0.0.1", "--user", "a", "--pass", "b", port_option="-p"
    )
    line = await _refused(tmp_path, {"nats": {"url": f"nats://a:hunter2@127.0.0.1:{port}"}})
    assert f"cannot connect to NATS at nats://127.0.0.1:{port}: " in line
    assert "authorization violation" in line.lower()
    port = await run(
        valkey_binary(), "--requirepass", "x", "--save", "", port_option="--port"
    )  # fmt: skip
    line = await _refused(tmp_path, {"redis": {"url": f"redis://:hunter2@127.0.0.1:{port}"}})
    assert f"cannot connect to Redis at redis://127.0.0.1:{port}: " in line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy allkeys-lru"),
        # By default its nodes use the port + 10,000, which may be invalid.
        (("--cluster-enabled", "yes", "--cluster-port", "{free}"), "Redis Cluster"),
    ],
)
async def test_a_redis_that_could_lose_deliveries(
    tmp_path: Path, run: Run, settings: tuple[str, ...], message: str
) -> None:
    given = [setting.format(free=usable_port()) for setting in settings]
    port = await run(valkey_binary(), "--save", "", *given, port_option="--port")
    line = await _refused(tmp_path, {"redis": {"url": f"redis://127.0.0.1:{port}"}})
    assert message in line


async def test_a_redis_without_append_only_file_causes_a_warning(tmp_path: Path, run: Run) -> None:
    port = await run(valkey_binary(), "--save", "", port_option="--port")
    program = Program(tmp_path, {"redis": {"url": f"redis://127.0.0.1:{port}"}})
    await program.start()
    assert await program.stop() == 0
    assert "has no append-only file" in program.output
    client = redis.asyncio.from_url(f"redis://127.0.0.1:{port}")
    assert await client.get("format") == b"%d" % FORMAT
    await client.aclose()


@pytest.mark.parametrize("name", ["nats", "redis"])
async def test_the_gateway_waits_for_a_server_that_starts_later(tmp_path: Path, name: str) -> None:
    port = usable_port()
    program = Program(tmp_path, {name: {"url": f"{name}://127.0.0.1:{port}"}})
    starting = asyncio.create_task(program.start())
    await _tries_again(program, 1)
    # While it waits it can be stopped, and leaves nothing behind.
    os.kill(program.pid, signal.SIGTERM)
    assert await program.ended() == 0
    assert "cannot connect" not in program.output, "it has waited for the server before it stopped"
    with pytest.raises(AssertionError):
        await starting
    assert not list(program.data.glob("*.pid"))
    assert "Traceback" not in program.output

    starting = asyncio.create_task(program.start())
    await _tries_again(program, 2)
    command = {
        "nats": [nats_binary(), "-a", "127.0.0.1", "-js", "-sd", str(tmp_path), "-p", str(port)],
        "redis": [valkey_binary(), "--save", "", "--port", str(port)],
    }[name]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=killed_with_parent,
    ) as server:  # fmt: skip
        try:
            await starting
            assert await program.stop() == 0
        finally:
            server.kill()
