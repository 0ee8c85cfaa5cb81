"""Several programs of one gateway, on the same NATS and Redis."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

from support.client import Client, connected
from support.patience import PATIENCE
from support.program import LOOPBACK, Program


class Peers:
    """Gateway processes with a data directory each, on the same NATS and Redis."""

    def __init__(self, directory: Path, servers: tuple[str, str]) -> None:
        self._directory = directory
        self.servers = servers
        self.programs: list[Program] = []

    async def start(
        self, stack: contextlib.AsyncExitStack, *configs: dict[str, Any]
    ) -> list[Client]:
        """Starts a program for each configuration at the same time; returns their clients."""
        nats_url, redis_url = self.servers
        for number, config in enumerate(configs, len(self.programs)):
            directory = self._directory / f"{number}"
            directory.mkdir()
            own = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
            self.programs.append(Program(directory, LOOPBACK | own | config))
        started = self.programs[len(self.programs) - len(configs) :]
        endpoints = await asyncio.gather(*(program.start() for program in started))
        return [
            await stack.enter_async_context(connected(endpoint["http"], nats_url, endpoint["key"]))
            for endpoint in endpoints
        ]


_LANE_SYNCS = re.compile(r"^event_gateway_lane_syncs_total(?:\{.*\})? (\d+)", re.MULTILINE)


async def until_lanes_are_synced(*clients: Client) -> None:
    """Returns once the lanes of each of these gateways have applied what Redis and the other
    processes say now: after a whole round that has begun since the call."""
    for client in clients:
        begun = await _lane_syncs(client) + 2  # one may be under way
        async with asyncio.timeout(PATIENCE):
            while await _lane_syncs(client) < begun:
                await asyncio.sleep(0.05)


async def _lane_syncs(client: Client) -> int:
    found = _LANE_SYNCS.search((await client.http.get("/metrics")).text)
    return int(found[1]) if found else 0


async def until_acquainted(*clients: Client) -> None:
    """Returns once each of these gateways knows of all others."""
    async with asyncio.timeout(PATIENCE):
        for client in clients:
            while (await client.http.get("/v1/overview")).json()["processes"] < len(clients):
                await asyncio.sleep(0.05)
