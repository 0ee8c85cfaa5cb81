"""A disk with little room, one that fills up and is freed again, and servers that cannot write."""

import asyncio
import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.js.errors import APIError

from support.client import STRUCTURED, Client, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running, server_pids
from support.receiver import Receiver
from support.small_disk import SmallDisk, limit_file_size, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Any:
    with small_disk(tmp_path) as made:
        yield made


def _config(receiver: Receiver) -> dict[str, Any]:
    webhook = {"url": f"{receiver.url}/w", "events": ["load.*", "orders.*"]}
    return LOOPBACK | {"webhooks": {"w": webhook}}


async def _send(client: Client, accepted: set[str], *, over_nats: bool = False) -> tuple[int, str]:
    """Sends an event; gives the status and the answer. ``accepted`` gets its id if the gateway or
    the log has confirmed it."""
    sent = event("load.made", {"pad": os.urandom(1024).hex()})
    if over_nats:
        with contextlib.suppress(APIError, nats.errors.Error):
            await client.nats.jetstream().publish(
                "load.made", json.dumps(sent).encode(), timeout=1, headers=STRUCTURED
            )
            accepted.add(sent["id"])
        return 0, ""
    answer = await client.http.post("/v1/events", content=json.dumps(sent), headers=STRUCTURED)
    if answer.status_code == 202:
        accepted.add(sent["id"])
    return answer.status_code, answer.text


async def _until_accepted(client: Client, accepted: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await _send(client, accepted))[0] != 202:
            await asyncio.sleep(0.05)


async def _until_healthy(client: Client) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/readyz")).json() != {"status": "ok", "reasons": []}:
            await asyncio.sleep(0.05)


async def _all_delivered(receiver: Receiver, accepted: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while accepted - {request.json["id"] for request in receiver.requests}:
            await asyncio.sleep(0.05)


async def test_a_small_disk_is_enough_to_start_and_to_start_again(
    tmp_path: Path, receiver: Receiver, disk: SmallDisk | None
) -> None:
    program = Program(tmp_path, _config(receiver))
    if disk is not None:
        program.data = disk.path / "data"
    accepted: set[str] = set()
    for _ in range(2):
        async with running(program) as client:
            assert (await _send(client, accepted))[0] == 202
            await _until_healthy(client)
            info = await client.nats.jetstream().account_info()
            reserved = info.storage if disk is None else 64 * 1024 * 1024
            assert info.storage <= reserved
    storage = [line for line in program.output.splitlines() if line.startswith("storage ")]
    assert len(storage) == 2
    if disk is not None:
        assert all("MiB for the streams of NATS" in line for line in storage)
        assert "NATS has little storage" in program.output
    await _all_delivered(receiver, accepted)


async def test_a_disk_that_fills_up_and_is_freed(
    tmp_path: Path, receiver: Receiver, disk: SmallDisk | None
) -> None:
    """Events are refused with 507 while it is full, /readyz says why, and all comes back by
    itself; every event that was accepted, over HTTP or NATS, is delivered."""
    program = Program(tmp_path, _config(receiver))
    if disk is not None:
        program.data = disk.path / "data"
    accepted: set[str] = set()
    async with running(program) as client:
        for over_nats in (False, True) * 20:
            await _send(client, accepted, over_nats=over_nats)
        assert len(accepted) == 40
        if disk is not None:
            await _while_full(client, accepted, disk)
        await _until_accepted(client, accepted)
        await _until_healthy(client)
        for over_nats in (False, True) * 5:
            async with asyncio.timeout(PATIENCE):
                before = len(accepted)
                while len(accepted) == before:
                    await _send(client, accepted, over_nats=over_nats)
        await _all_delivered(receiver, accepted)
    assert "Traceback" not in program.output, program.output


async def _while_full(client: Client, accepted: set[str], disk: SmallDisk) -> None:
    async with asyncio.timeout(PATIENCE):
        status, answer = 0, ""
        # A server may free a file meanwhile.
        while status != 507 or "is full: 0 B are free" not in answer:
            disk.fill()
            status, answer = await _send(client, accepted)
    # What other services publish on NATS fills what was left in files; then it is not confirmed.
    async with asyncio.timeout(PATIENCE):
        before = -1
        while len(accepted) != before:
            disk.fill()
            before = len(accepted)
            await _send(client, accepted, over_nats=True)
    async with asyncio.timeout(PATIENCE):
        reasons: list[str] = []
        while not any("is full: 0 B are free" in reason for reason in reasons):
            disk.fill()
            ready = await client.http.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            reasons = ready.json()["reasons"]
    change = await client.http.post(
        "/v1/webhooks", json={"id": "x", "url": "https://example.com", "events": ["a"]}
    )
    assert change.status_code in (201, 503, 507), change.text
    disk.free()


async def test_servers_that_cannot_write_are_restarted(tmp_path: Path, receiver: Receiver) -> None:
    """Whatever the reason is: here their files may not grow."""
    program = Program(tmp_path, _config(receiver))
    accepted: set[str] = set()
    async with running(program) as client:
        await _send(client, accepted)
        before = server_pids(program.data)
        limit_file_size(before["nats"], 8192)
        limit_file_size(before["valkey"], 8192)
        for number in itertools.count():
            await _send(client, accepted, over_nats=bool(number % 2))
            now = server_pids(program.data)
            if all(now[name] != before[name] for name in before):
                break
        await _until_accepted(client, accepted)
        await _until_healthy(client)
        await _all_delivered(receiver, accepted)
    assert "an embedded server cannot write" in program.output
    assert "Traceback" not in program.output, program.output
