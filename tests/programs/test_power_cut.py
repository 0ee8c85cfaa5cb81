"""What a power cut takes from the embedded servers, and what it does not."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from support.client import connected, event
from support.patience import PATIENCE
from support.power_cut import Disk, disk
from support.program import LOOPBACK, Program, running, server_pids
from support.receiver import Receiver
from support.stopping import stop_process


async def _cut_power(program: Program, power: Disk) -> None:
    """Stops all processes at once, and takes away what is not on the disk."""
    pids = [program.pid, *server_pids(program.data).values()]
    for pid in pids:
        stop_process(pid)
    power.copy()
    for pid in pids[1:]:
        os.kill(pid, signal.SIGKILL)
    program.kill()
    deadline = time.monotonic() + PATIENCE
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    power.cut()


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("durability", ["fsync", "standard"])
async def test_a_power_cut(tmp_path: Path, receiver: Receiver, durability: str) -> None:
    """With ``durability: fsync`` every event that was accepted reaches its webhook. Without, the
    gateway goes on with what NATS has: what comes then is accepted and delivered."""
    config: dict[str, Any] = LOOPBACK | {"durability": durability}
    with disk(tmp_path) as power:
        program = Program(tmp_path, config)
        at = await program.start()
        always = "sync_interval: always" in (program.data / "nats.conf").read_text()
        assert always == (durability == "fsync")
        accepted: list[str] = []
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            receiver.answers["/w"] = [500]
            for _ in range(60):
                sent = event("user.a")
                await client.send(sent)
                accepted.append(sent["id"])
            # Registered over the API, and answered: it is on the disk, too.
            await client.webhook(id="later", url=f"{receiver.url}/later", events=["user.*"])
            await _cut_power(program, power)
        receiver.requests.clear()
        receiver.answers["/w"] = [200]
        async with running(program) as client:
            messages = await client.stream_messages("GATEWAY_EVENTS")
            kept = [json.loads(message.data)["id"] for message in messages]
            assert kept == accepted[: len(kept)]
            if durability == "fsync" or not power.real:
                assert kept == accepted
                assert (await client.http.get("/v1/webhooks/later")).status_code == 200
                async with asyncio.timeout(PATIENCE):
                    while set(accepted) - {each.json["id"] for each in receiver.requests_to("/w")}:
                        await asyncio.sleep(0.05)
            else:
                print(f"{len(accepted) - len(kept)} of {len(accepted)} events lost")
            await client.webhook(id="new", url=f"{receiver.url}/new", events=["user.*"])
            sent = event("user.a")
            await client.send(sent)
            async with asyncio.timeout(PATIENCE):
                while sent["id"] not in {each.json["id"] for each in receiver.requests_to("/new")}:
                    await asyncio.sleep(0.05)
        assert "Traceback" not in program.output, program.output
