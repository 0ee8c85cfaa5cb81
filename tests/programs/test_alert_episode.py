"""One episode of an alert, during which everything dies once."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from support.client import Client, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running, server_pids
from support.receiver import Receiver

OFF = {"enabled": False}


def _config(receiver: Receiver) -> dict[str, Any]:
    return LOOPBACK | {
        "webhooks": {"crm": {"url": f"{receiver.url}/crm", "events": ["user.*"],
                             "retry_policy": {"max_attempts": 1}}},
        "alerts": {
            "webhook_down": {"failures": 3, "window": "5s", "for": "0s", "keep_firing_for": "0s"},
            "high_error_rate": OFF, "delivery_lag": OFF, "circuit_breaker_open": OFF,
        },
    }  # fmt: skip


async def _asked(client: Client, path: str) -> dict[str, Any]:
    """An answer of whichever process is there."""
    while True:
        try:
            answer = await client.http.get(path)
            if answer.status_code == 200:
                return dict(answer.json())
        except httpx.TransportError:
            pass  # the process that had the connection was killed
        await asyncio.sleep(0.05)


async def _until(client: Client, state: str, **members: Any) -> dict[str, Any]:
    """Waits until the alert has this state."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for alert in (await _asked(client, "/v1/alerts"))["items"]:
                if alert.items() >= {"state": state, **members}.items():
                    return dict(alert)
            await asyncio.sleep(0.05)


async def _processes(client: Client) -> dict[bool, list[int]]:
    """The ids of the processes: under True that of the leader."""
    processes: dict[bool, list[int]] = {True: [], False: []}
    for process in (await _asked(client, "/v1/health"))["processes"]:
        processes[process["leader"]].append(process["pid"])
    return processes


async def test_each_transition_is_announced_once_whatever_dies(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers["/crm"] = [500]
    program = Program(tmp_path, _config(receiver), "--workers", "2")
    async with running(program) as client:
        async with asyncio.timeout(PATIENCE):
            while len((await _processes(client))[False]) != 1:
                await asyncio.sleep(0.05)
        await client.send([event("user.made") for _ in range(4)])
        # The leader dies as soon as anybody hears of it, perhaps before it is announced.
        since = (await _until(client, "firing"))["since"]
        (leader,) = (await _processes(client))[True]
        os.kill(leader, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while (now := await _processes(client))[True] in ([], [leader]) or len(now[False]) != 1:
                await asyncio.sleep(0.05)
        await _until(client, "firing", since=since, announced=True)
        # So does NATS, with what it has not written yet.
        nats = server_pids(program.data)["nats"]
        os.kill(nats, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while server_pids(program.data)["nats"] == nats:
                await asyncio.sleep(0.05)
        await _until(client, "firing", since=since, announced=True)
    # And everything: what is known of attempts is gone, and the alert is not.
    async with running(program) as client:
        await _until(client, "firing", since=since, announced=True)
        receiver.answers["/crm"] = [200]
        await client.send(event("user.made"))
        await _until(client, "resolved", since=since)
        ends: list[Any] = []
        async with asyncio.timeout(PATIENCE):
            while "gateway.alert.resolved" not in ends:
                await asyncio.sleep(0.05)
                published = await client.stream_messages("GATEWAY_LIFECYCLE")
                ends = [message.subject for message in published]
        alerts = [subject for subject in ends if subject.startswith("gateway.alert.")]
        assert alerts == ["gateway.alert.firing", "gateway.alert.resolved"]
        # The same holds for the health, of which the alert and the lost process were reasons.
        ids = Counter(message.headers["Nats-Msg-Id"] for message in published
                      if message.subject.startswith("gateway."))  # fmt: skip
        assert set(ids.values()) == {1}, ids
