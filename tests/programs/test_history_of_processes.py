"""The history of several processes: they add up, and the death of the leader leaves no gap."""

import asyncio
import contextlib
from typing import Any

from support.client import Client, event
from support.patience import PATIENCE
from support.peers import Peers
from support.receiver import Receiver


async def _until(client: Client, **total: Any) -> dict[str, Any]:
    """Waits until the totals of the last hour are these."""
    shown: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE):
        while {name: shown.get("total", {}).get(name) for name in total} != total:
            await asyncio.sleep(0.2)
            answer = await client.http.get("/v1/history")
            assert answer.status_code == 200, answer.text
            shown = answer.json()
    return shown


async def _leads(client: Client) -> bool:
    return "\nevent_gateway_leader 1.0" in (await client.http.get("/metrics")).text


async def test_processes_add_up_and_the_leader_may_die(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    clients = await peers.start(stack, {}, {})
    await clients[0].webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    for client in clients:
        await client.send([event("user.a") for _ in range(50)])
    for client in clients:  # both have written what they counted
        await _until(client, received=100, succeeded=100, attempts=100)
    async with asyncio.timeout(PATIENCE):
        while sum(leading := [await _leads(client) for client in clients]) != 1:
            await asyncio.sleep(0.1)
    leader = leading.index(True)
    other = clients[1 - leader]
    peers.programs[leader].kill()
    await other.send([event("user.a") for _ in range(20)])
    shown = await _until(other, received=120, succeeded=120)
    covered, waiting = shown["covered_seconds"], shown["series"]["waiting"]
    first = next(index for index, seconds in enumerate(covered) if seconds)
    assert set(covered[first:]) == {10}
    async with asyncio.timeout(PATIENCE):
        while waiting[-1] is None:  # the other process measures the queues now
            await asyncio.sleep(0.2)
            shown = (await other.http.get("/v1/history")).json()
            waiting = shown["series"]["waiting"]
