"""NATS and Valkey as clusters, and what is done to their leaders."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.nats_servers import NatsCluster
from support.valkey_servers import Cluster, Replicated, Server, until

Action = Callable[[], Awaitable[None]]


class Valkeys:
    """``shape`` is ``sentinel`` (a primary, two replicas, three Sentinels) or ``cluster`` (three
    primaries with a replica each)."""

    def __init__(self, directory: Path, shape: str, dice: random.Random) -> None:
        self._dice = dice
        directory.mkdir()
        self._servers: Replicated | Cluster = (
            Replicated(directory, replicas=2, down_after=2500)
            if shape == "sentinel"
            else Cluster(directory, node_timeout=4000)
        )

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        stack.callback(self._servers.stop)
        for server in self._servers.servers:
            await server.put_behind_relays(stack)
        await self._servers.start()

    @property
    def config(self) -> dict[str, object]:
        """The section ``redis`` of the gateways."""
        return self._servers.config

    @property
    def actions(self) -> dict[str, Action]:
        return {
            "primary Valkey killed": lambda: self._disrupt(Server.kill),
            "primary Valkey paused": lambda: self._disrupt(Server.pause),
            "primary Valkey cut off from all": lambda: self._disrupt(
                lambda server: self._servers.cut_off(server, also_clients=True)
            ),
            "primary Valkey cut off from the other servers": lambda: self._disrupt(
                lambda server: self._servers.cut_off(server, also_clients=False)
            ),
        }

    async def _disrupt(self, act: Callable[[Server], None]) -> None:
        primary = await self._servers.primary()
        act(primary)
        await asyncio.sleep(self._dice.uniform(0.5, 10))
        primary.go_on()
        self._servers.mend()
        primary.start()
        await until(self._servers.is_ready, "the Valkeys do not recover")


class Nats:
    """A NATS cluster of three servers."""

    def __init__(self, directory: Path, dice: random.Random) -> None:
        self._dice = dice
        directory.mkdir()
        self._cluster = NatsCluster(directory)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        await self._cluster.start(stack, relays=True)

    @property
    def url(self) -> str:
        return self._cluster.url

    @property
    def actions(self) -> dict[str, Action]:
        return {
            "leader of NATS killed": lambda: self._disrupt("kill"),
            "leader of NATS paused": lambda: self._disrupt("pause"),
            "leader of NATS cut off from all": lambda: self._disrupt("cut off"),
        }

    async def _disrupt(self, what: str) -> None:
        leader = await self._cluster.leader("GATEWAY_EVENTS")
        {"kill": leader.kill, "pause": leader.pause}.get(
            what, lambda: self._cluster.cut_off(leader)
        )()
        await asyncio.sleep(self._dice.uniform(0.5, 12))
        leader.go_on()
        self._cluster.mend()
        leader.start()
        await self._cluster.until_copied()
