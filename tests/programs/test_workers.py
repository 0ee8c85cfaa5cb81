"""``serve --workers N``: processes that share one socket and the work."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.client import STRUCTURED, Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running, worker_pids
from support.receiver import Receiver

# The event loop of a process stands still from SIGURG on.
STANDING_STILL = """
import signal, time
from event_gateway.cli.process import worker, workers
worker.BEAT, workers.SILENCE, workers.TRACEBACK = 0.1, 3.0, 5.0
def stand_still(*_):
    time.sleep(3600)
signal.signal(signal.SIGURG, stand_still)
"""

# As long as there is a file "still", a process that starts stands still before it is ready.
STANDING_STILL_AT_THE_START = """
import pathlib, time
from event_gateway.cli.process import worker, workers
worker.BEAT, workers.SILENCE, workers.TRACEBACK = 0.1, 3.0, 5.0
run = worker.running_gateway
def stand_still(*args, **options):
    while pathlib.Path("{file}").exists():
        time.sleep(0.02)
    return run(*args, **options)
worker.running_gateway = stand_still
"""

# The first process starts; all others stand still before they are ready.
ALL_BUT_ONE_STANDING_STILL = """
import pathlib, time
from event_gateway.cli.process import worker, workers
worker.BEAT, workers.SILENCE, workers.TRACEBACK = 0.1, 3.0, 1.0
run = worker.running_gateway
def stand_still(*args, **options):
    try:
        pathlib.Path("{file}").touch(exist_ok=False)
    except FileExistsError:
        time.sleep(3600)
    return run(*args, **options)
worker.running_gateway = stand_still
"""


def _config(receiver: Receiver, **webhook: Any) -> dict[str, Any]:
    hook = {"url": f"{receiver.url}/w", "events": ["a"], "timeout": "5s"}
    return LOOPBACK | {"webhooks": {"w": hook | webhook}}


@pytest.fixture
async def program(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Program]:
    first = Program(tmp_path, _config(receiver), "--workers", "2")
    yield first
    await first.stop()
    assert "Traceback" not in first.output, first.output


async def _pids(client: Client, count: int) -> set[int]:
    """Waits for ``count`` processes, and returns their ids."""
    heard: dict[str, int] = {}

    async def on_beat(message: Any) -> None:
        beat = json.loads(message.data)
        heard[beat["process"]] = beat["pid"]
        if beat["gone"]:
            del heard[beat["process"]]

    subscription = await client.nats.subscribe("eg.process.*", cb=on_beat)
    async with asyncio.timeout(PATIENCE):
        while len(heard) < count:
            await asyncio.sleep(0.05)
    await subscription.unsubscribe()
    return set(heard.values())


async def test_workers_share_the_work(program: Program, receiver: Receiver) -> None:
    receiver.delays["/w"] = [0.05]
    # On a busy machine, requests would take longer than a second and be sent again.
    program.configure(_config(receiver, timeout="60s"))
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        assert await _pids(client, 2) == worker_pids(program.pid)
        sent = [event("a") for _ in range(300)]
        await client.send(sent)
        for item in sent:
            await client.until("w", item["id"], "succeeded")
        # The id of a lifecycle event begins with that of the process that publishes it.
        succeeded = await client.lifecycle_events(300, "webhook.succeeded")
        shares = Counter(item["id"].partition("-")[0] for item in succeeded)
        assert len(shares) == 2
        assert min(shares.values()) > 15, shares
        # A registration in one process applies in all of them once it is answered.
        for number in range(5):
            await client.webhook(id=f"v{number}", url=f"{receiver.url}/v{number}", events=["b"])
            published = event("b")
            await client.send(published)
            for known in range(number + 1):
                await client.until(f"v{known}", published["id"], "succeeded")
        assert len(receiver.requests_to("/w")) == 300
        await _a_reload_reaches_all_workers(program, receiver, client)
    assert await program.stop() == 0


async def _a_reload_reaches_all_workers(
    program: Program, receiver: Receiver, client: Client
) -> None:
    program.configure(_config(receiver, events=["a", "new"]))
    os.kill(program.pid, signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        while "configuration reloaded" not in program.output:
            await asyncio.sleep(0.05)
    for _ in range(10):
        sent = event("new")
        await client.send(sent)
        await client.until("w", sent["id"], "succeeded")
    async with asyncio.timeout(PATIENCE):  # until the others have told that they have the file
        while (await client.http.get("/readyz")).json()["reasons"]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["a request", "SIGHUP"])
async def test_a_reload_is_logged_once(program: Program, receiver: Receiver, way: str) -> None:
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        program.configure(
            _config(receiver, events=["a", "new"]) | {"server": {"max_body": "64KiB"}}
        )
        before = len(program.output)
        if way == "SIGHUP":
            os.kill(program.pid, signal.SIGHUP)
        else:
            answer = await client.http.post("/v1/reload")
            assert answer.status_code == 200, answer.text
        # Every process follows, and says nothing of it.
        large = event("new", "x" * 70_000)
        async with asyncio.timeout(PATIENCE):
            refused = 0
            while refused < 20:  # in a row, by whichever process is connected
                async with httpx.AsyncClient(
                    base_url=at["http"], headers=dict(client.http.headers), timeout=PATIENCE
                ) as http:
                    sent = await http.post("/v1/events", json=large, headers=STRUCTURED)
                refused = refused + 1 if sent.status_code == 413 else 0
        written = program.output[before:]
        assert written.count("configuration reloaded") == 1, written
        assert "another process of this gateway" not in written
        warned = [line for line in written.splitlines() if "needs attention" in line]
        problems = [json.loads(line)["problem"] for line in warned]
        assert len(problems) == len(set(problems)), problems
        # What is wrong with a file is said once, too.
        before = len(program.output)
        program.configure(_config(receiver, events=["a"]) | {"server": {"max_body": "none"}})
        os.kill(program.pid, signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while "not reloaded" not in program.output[before:]:
                await asyncio.sleep(0.05)
        assert (await client.http.post("/v1/reload")).status_code == 422
        assert program.output[before:].count("not reloaded") == 1, program.output[before:]
    assert await program.stop() == 0


async def test_a_renaming_that_cannot_be_is_refused_with_its_line(
    tmp_path: Path, receiver: Receiver
) -> None:
    ordered = _config(receiver, ordered=True)
    first = Program(tmp_path, ordered)
    await first.start()
    assert await first.stop() == 0
    hook = {"url": f"{receiver.url}/w", "events": ["a"], "renamed_from": "w"}
    for workers in ("1", "2"):
        renamed = Program(tmp_path, LOOPBACK | {"webhooks": {"v": hook}}, "--workers", workers)
        before = len(renamed.output)
        assert await renamed.start_fails() == 2
        [line] = renamed.output[before:].splitlines()[-1:]
        assert f"{tmp_path / 'gateway.yaml'}:" in line
        assert ": webhooks.v.ordered: cannot change together with the id: it is that of w" in line
        assert "Traceback" not in renamed.output


async def test_a_killed_process_is_replaced(program: Program, receiver: Receiver) -> None:
    """The deliveries of a killed worker are taken over when their leases end; the workers end
    however the first process ends, and the port is free for the next start."""
    receiver.delays["/w"] = [0.3]
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        before = await _pids(client, 2)
        sent = [event("a") for _ in range(100)]
        await client.send(sent)
        await receiver.until(20)
        os.kill(min(before), signal.SIGKILL)
        receiver.delays["/w"] = [0.0]
        async with asyncio.timeout(PATIENCE):
            while {item["id"] for item in sent} - {
                result.json["id"] for result in receiver.requests
            }:
                await asyncio.sleep(0.1)
        for item in sent:
            await client.until("w", item["id"], "succeeded")
        pids = await _pids(client, 2)
        assert len(pids & before) == 1
    assert "a process has ended by itself" in program.output
    program.kill()
    async with asyncio.timeout(PATIENCE):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.05)
    port = at["http"].rpartition(":")[2]
    again = Program(program.data.parent, LOOPBACK, "--workers", "2", "--port", port)
    assert (await again.start())["http"] == at["http"]
    assert await again.stop() == 0


async def test_a_process_whose_event_loop_stands_still_is_replaced(
    tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STANDING_STILL)
    program = Program(tmp_path, _config(receiver), "--workers", "2", PYTHONPATH=str(tmp_path))
    async with running(program):
        still = min(worker_pids(program.pid))
        os.kill(still, signal.SIGURG)
        async with asyncio.timeout(PATIENCE):
            while still in (workers := worker_pids(program.pid)) or len(workers) < 2:
                await asyncio.sleep(0.05)
        assert "the event loop of a process stands still" in program.output
        assert "in stand_still\n" in program.output  # the traceback
    assert await program.stop() == 0


async def test_a_process_that_stands_still_before_it_is_ready_is_noticed(
    tmp_path: Path, receiver: Receiver
) -> None:
    """At the start of the gateway that ends it with an error; later the process is replaced."""
    still = tmp_path / "still"
    still.touch()
    (tmp_path / "sitecustomize.py").write_text(STANDING_STILL_AT_THE_START.format(file=still))
    program = Program(tmp_path, _config(receiver), "--workers", "2", PYTHONPATH=str(tmp_path))
    assert await program.start_fails() == 1
    assert "the event loop of a process stood still while it started" in program.last_line
    assert "in stand_still\n" in program.output  # the traceback
    still.unlink()
    async with running(program) as client:
        still.touch()
        before = program.output.count("stands still")
        os.kill(min(worker_pids(program.pid)), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while program.output.count("stands still") == before:
                await asyncio.sleep(0.05)
        still.unlink()
        assert await _pids(client, 2) == worker_pids(program.pid)
    assert await program.stop() == 0


async def test_several_processes_that_stand_still_at_the_start_do_not_keep_it_from_its_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    """They do not hear that they are to end."""
    started = tmp_path / "started"
    (tmp_path / "sitecustomize.py").write_text(ALL_BUT_ONE_STANDING_STILL.format(file=started))
    program = Program(tmp_path, _config(receiver), "--workers", "4", PYTHONPATH=str(tmp_path))
    assert await program.start_fails() == 1
    assert "the event loop of a process stood still while it started" in program.last_line
    assert program.output.count("the gateway ends it") == 3


async def test_a_reload_does_not_wait_for_a_process_that_starts(
    tmp_path: Path, receiver: Receiver
) -> None:
    still = tmp_path / "still"
    standing_still = STANDING_STILL_AT_THE_START.format(file=still).replace("3.0", "3600.0")
    (tmp_path / "sitecustomize.py").write_text(standing_still)
    program = Program(tmp_path, _config(receiver), "--workers", "2", PYTHONPATH=str(tmp_path))
    async with running(program) as client:
        still.touch()
        first, second = sorted(worker_pids(program.pid))
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while not worker_pids(program.pid) - {first, second}:
                await asyncio.sleep(0.02)
        await program.reload(_config(receiver, timeout="2s"), "configuration reloaded")
        still.unlink()
        assert second in await _pids(client, 2)
    assert await program.stop() == 0


async def test_an_error_at_the_start_is_reported_once(tmp_path: Path, receiver: Receiver) -> None:
    config = _config(receiver) | {"ingest": {"streams": ["MISSING"]}}
    program = Program(tmp_path, config, "--workers", "3")
    assert await program.start_fails() == 1
    assert program.output.count("event-gateway: ") == 1
    assert "MISSING" in program.last_line
