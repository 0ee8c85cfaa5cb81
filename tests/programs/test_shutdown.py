"""The end of the gateway: in phases after one signal, at once after two."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import redis.asyncio
from structlog.testing import capture_logs

from event_gateway.app import gateway as app
from event_gateway.app.gateway import Gateway
from event_gateway.app.stages.routing import Routing
from event_gateway.cli.process.reload import Reloading
from event_gateway.cli.process.serve import Running
from event_gateway.cli.process.signals import Ending
from support.client import connected, event
from support.fixtures import Start
from support.patience import PATIENCE, allowance
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.redis_values import hget


def _config(receiver: Receiver, **server: Any) -> dict[str, Any]:
    return LOOPBACK | {
        "server": server,
        "streams": {"live": {"subjects": ["load.*"]}},
        "webhooks": {
            name: {"url": f"{receiver.url}/{name}", "events": ["load.*"], "timeout": "3s"}
            for name in ("quick", "slow")
        },
    }


async def test_the_gateway_drains_in_phases(tmp_path: Path, receiver: Receiver) -> None:
    receiver.holds["/slow"] = responds = asyncio.Event()
    config = _config(receiver, drain_timeout="1m")
    config["webhooks"]["slow"]["timeout"] = "1m"
    program = Program(tmp_path, config)
    at = await program.start()
    sent = event("load.made")
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            async with client.websocket() as socket:
                await socket.request(action="subscribe", stream="live")
                await client.send(sent)
                await receiver.until(2)
                os.kill(program.pid, signal.SIGTERM)
                connection = socket.connection
                async with asyncio.timeout(PATIENCE):
                    await connection.wait_closed()
                closed = (connection.close_code, connection.close_reason)
                assert closed == (1012, "the gateway restarts")
                # While the slow attempt runs, the gateway is draining and accepts nothing more.
                ready = await client.http.get("/readyz")
                assert (ready.status_code, ready.json()["reasons"]) == (503, ["draining"])
                refused = await client.send(event("load.made"), status=503)
                assert "shutting down" in refused["detail"]
                assert (await client.http.get("/healthz")).status_code == 200
            responds.set()
            assert await program.ended() == 0
        # The running attempt was finished and recorded: it is not repeated.
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            record = await client.until("slow", sent["id"], "succeeded")
            assert len(record["attempts"]) == 1
            await asyncio.sleep(1)
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert len(receiver.requests) == 2
    assert "Traceback" not in program.output, program.output


async def test_an_attempt_that_is_cut_off_is_not_a_failure(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.delays["/slow"] = [60.0, 0.0]
    config = _config(receiver, drain_timeout="500ms")
    program = Program(tmp_path, config)
    began = time.monotonic()
    at = await program.start()
    # The attempt is cut off before its timeout, and the next start ends before its lease.
    timeout = allowance(3, time.monotonic() - began, 2)
    config["webhooks"]["slow"]["timeout"] = f"{timeout}s"
    config["webhooks"]["quick"]["timeout"] = "1m"
    await program.reload(config, "configuration reloaded")
    sent = event("load.made")
    events: list[str] = []
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(sent)
            await client.until("slow", sent["id"], "in_progress")
            await receiver.until(2)
            assert await program.stop() == 0
            events = [item["type"] for item in client.lifecycle if item["type"] == "webhook.failed"]
        assert not events
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            record = await client.delivery("slow", sent["id"])
            assert (record["status"], record["attempts"]) == ("in_progress", [])
            # Its lease ends 10 s after the attempt's timeout; then the delivery is retried.
            record = await client.until("slow", sent["id"], "succeeded", timeout=timeout + PATIENCE)
            assert [attempt["number"] for attempt in record["attempts"]] == [1]
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert [
        request.headers["x-event-gateway-attempt"] for request in receiver.requests_to("/slow")
    ] == [
        "1",
        "1",
    ]
    assert len(receiver.requests_to("/quick")) == 1


async def test_a_second_signal_ends_at_once(tmp_path: Path, receiver: Receiver) -> None:
    receiver.delays["/slow"] = [10 * PATIENCE]
    config = _config(receiver, drain_timeout="10m")
    config["webhooks"]["slow"]["timeout"] = "5m"
    program = Program(tmp_path, config)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(event("load.made"))
            await receiver.until(2)
            os.kill(program.pid, signal.SIGTERM)
            await _until_draining(client.http)
            os.kill(program.pid, signal.SIGTERM)
            assert await program.ended() == 130  # it does not wait for the attempt
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def _until_draining(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await http.get("/readyz")).status_code != 503:
            await asyncio.sleep(0.05)


async def test_the_gateway_ends_while_both_servers_are_down(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    nats_url, redis_url = servers
    own = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, _config(receiver, drain_timeout="1s") | own)
    at = await program.start()
    try:
        async with connected(at["http"], nats_url, at["key"]) as client:
            await client.send(event("load.made"))
            await receiver.until(2)
            for name in ("nats", "valkey"):
                pid = int((tmp_path / "servers" / f"{name}.pid").read_text())
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert await program.stop() == 0, program.output
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_a_process_whose_event_loop_does_not_go_on_ends_all_the_same(tmp_path: Path) -> None:
    script = tmp_path / "stuck.py"
    script.write_text(
        "import asyncio, os, signal, time\n"
        "from event_gateway.cli.process import signals\n"
        "async def main():\n"
        "    ending = signals.Ending(0.2, margin=0.3)\n"
        "    ending.started()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await ending.wait()\n"
        "    time.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    assert (process.returncode, b"has not ended in time" in said) == (1, True), said


async def test_a_reload_changes_how_long_a_process_may_take_to_end(tmp_path: Path) -> None:
    class Reloaded:
        async def reload(self, *_config: Any, **_options: Any) -> None: ...

    file, ending = tmp_path / "gateway.yaml", Ending(20.0, margin=0.0)
    reloading = Reloading(file, cast(Gateway, Reloaded()), ending, tell_others=None)
    file.write_text("server: {drain_timeout: 90s}")
    await reloading._reload(dry_run=True)
    assert ending.drain_timeout == 20.0
    await reloading._reload()
    assert ending.drain_timeout == 90.0


async def test_the_time_to_end_is_that_of_the_latest_reload(tmp_path: Path) -> None:
    script = tmp_path / "reloaded.py"
    script.write_text(
        "import asyncio, os, signal\n"
        "from event_gateway.cli.process import signals\n"
        "class Timer:\n"
        "    def __init__(self, seconds, _end):\n"
        "        print(seconds)\n"
        "    def start(self):\n"
        "        pass\n"
        "signals.threading.Timer = Timer\n"
        "async def main():\n"
        "    ending = signals.Ending(20.0, margin=30.0)\n"
        "    ending.started()\n"
        "    ending.drain_timeout = 90.0\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await ending.wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert said == b"120.0\n"


async def test_a_drain_ends_although_something_keeps_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DRAIN_MARGIN", 0.2)
    running: Running = await start({"server": {"drain_timeout": "100ms"}})

    async def never(_self: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Routing, "stop_taking", never)
    with capture_logs() as logged:
        async with asyncio.timeout(PATIENCE):
            await running.gateway.drain()
    assert "the drain took too long" in str(logged)


async def test_a_step_of_the_drain_that_fails_keeps_no_other_from_its_end(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """Also if it fails by a time limit of its own: the drain as a whole has not taken too long."""
    running: Running = await start(_config(receiver))
    client = await connect(running)
    receiver.holds["/slow"] = responds = asyncio.Event()
    sent = event("load.made")
    await client.send(sent)
    await receiver.until(2)

    async def fails(_self: Any) -> None:
        responds.set()
        raise TimeoutError("NATS does not answer")

    monkeypatch.setattr(Routing, "stop_taking", fails)
    with capture_logs() as logged:
        async with asyncio.timeout(PATIENCE):
            await running.gateway.drain()
    assert [line["step"] for line in logged if "step" in line] == ["taking no events"]
    assert "took too long" not in str(logged)
    # The attempt that was in flight has been finished and recorded.
    async with redis.asyncio.from_url(running.redis_url) as store:
        assert await hget(store, f"delivery:slow:{sent['id']}", "status") == b"succeeded"
