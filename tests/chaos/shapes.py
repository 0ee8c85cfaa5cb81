"""NATS and Valkey as clusters, and what is done to their leaders."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.certificates import Authority
from support.nats_servers import NatsCluster
from support.relay import Relay
from support.secured_servers import behind_tls, documented_user
from support.valkey_servers import Cluster, Replicated, Server, until

Action = Callable[[], Awaitable[None]]
RECOVERY = 300.0  # seconds for the servers: a replica may have to copy all that the primary has
SECRET = "chaos-password-of-the-run"


class Valkeys:
    """``shape`` is ``sentinel`` (a primary, two replicas, three Sentinels), ``cluster`` (three
    primaries with a replica each), or ``managed``: the same as ``sentinel`` behind one address with
    TLS, for a user that may use only what the gateway needs."""

    def __init__(self, directory: Path, shape: str, dice: random.Random) -> None:
        self._dice = dice
        directory.mkdir()
        self._service = ManagedService(directory) if shape == "managed" else None
        settings = () if self._service is None else self._service.settings
        self._servers: Replicated | Cluster = (
            Cluster(directory, node_timeout=4000)
            if shape == "cluster"
            else Replicated(directory, replicas=2, down_after=2500, settings=settings)
        )

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        stack.callback(self._servers.stop)
        for server in self._servers.servers:
            await server.put_behind_relays(stack)
        await self._servers.start()
        if self._service is not None:
            await self._service.start(stack, self._servers)

    @property
    def config(self) -> dict[str, object]:
        """The section ``redis`` of the gateways."""
        return self._servers.config if self._service is None else self._service.config

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
        await until(self._servers.is_ready, "the Valkeys do not recover", RECOVERY)


class ManagedService:
    """One address with TLS that leads to the primary, as the Sentinels say, and an ACL user."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._users = directory / "users.acl"
        self._users.write_text(f"user gateway on >{SECRET} {' '.join(documented_user())}\n")
        self._port = 0

    @property
    def settings(self) -> tuple[str, ...]:
        """Those of each Valkey."""
        return ("--aclfile", str(self._users))

    @property
    def config(self) -> dict[str, object]:
        """The section ``redis`` of the gateways."""
        return {
            "url": f"redis://127.0.0.1:{self._port}", "username": "gateway", "password": SECRET,
            "tls": {"ca": str(self._directory / "ca.pem")},
        }  # fmt: skip

    async def start(self, stack: contextlib.AsyncExitStack, servers: Replicated | Cluster) -> None:
        authority = Authority(self._directory)
        authority.write_own("ca.pem")
        relay = Relay((await servers.primary()).seen)
        await stack.enter_async_context(relay.running())
        self._port = await stack.enter_async_context(behind_tls(relay.port, authority.server()))
        following = asyncio.create_task(self._follow(servers, relay))
        stack.callback(following.cancel)

    async def _follow(self, servers: Replicated | Cluster, relay: Relay) -> None:
        """Leads to the primary after each failover."""
        port = 0
        while True:
            with contextlib.suppress(AssertionError):  # no Sentinel answers
                primary = await servers.primary()
                if primary.seen != port:
                    port = primary.seen
                    relay.lead_to(port)
                    relay.cut()
            await asyncio.sleep(0.2)


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
        await self._cluster.until_copied(RECOVERY)
