"""Three NATS servers that form a cluster on the loopback interface.

Each can be killed, paused and started again, and parted from the others by the relays between them.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from nats.js import JetStreamContext

from event_gateway.broker.connection import BrokerError
from event_gateway.embedded.servers import nats_binary, usable_port
from support.bus import connect_bus
from support.killable_server import KillableServer
from support.patience import PATIENCE
from support.relay import Relay

SIZE = 3


class NatsServer(KillableServer):
    """One server. ``url`` is that for clients; ``relays``: to it, and between it and the others."""

    def __init__(self, directory: Path, number: int) -> None:
        super().__init__(directory / f"nats-{number}.log")
        self.name = f"n{number}"
        self.port, self.route = usable_port(), usable_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.relays: list[Relay] = []
        self._file = directory / f"nats-{number}.conf"
        self._store = directory / f"js-{number}"

    def configure(self, routes: list[int], *, advertises: bool) -> None:
        """``routes``: ports that lead to the others. ``advertises``: it tells others how to reach
        it; else they know it by their own routes only."""
        peers = json.dumps([f"nats://127.0.0.1:{port}" for port in routes])
        hidden = "" if advertises else 'advertise: "127.0.0.1:1",'  # nobody listens there
        self._file.write_text(
            f'server_name: {self.name}\nlisten: "127.0.0.1:{self.port}"\n'
            f'client_advertise: "{self.url.removeprefix("nats://")}"\n'
            f'jetstream {{store_dir: "{self._store}"}}\n'
            f'cluster {{name: c, listen: "127.0.0.1:{self.route}", {hidden} routes: {peers}}}\n'
        )

    def command(self) -> list[str]:
        return [nats_binary(), "-c", str(self._file)]


class NatsCluster:
    """``directory`` holds the data of its servers."""

    def __init__(self, directory: Path) -> None:
        self.servers = [NatsServer(directory, number) for number in range(SIZE)]

    @property
    def url(self) -> str:
        """The URLs of all servers, as the configuration has them."""
        return ",".join(server.url for server in self.servers)

    def start_one(self, stack: contextlib.AsyncExitStack) -> None:
        """Starts the first server alone, which has no majority. :meth:`start_others` follows."""
        for server in self.servers:
            stack.callback(server.kill)
            routes = [other.route for other in self.servers if other is not server]
            server.configure(routes, advertises=True)
        self.servers[0].start()

    def start_others(self) -> None:
        for server in self.servers[1:]:
            server.start()

    async def start(self, stack: contextlib.AsyncExitStack, *, relays: bool = False) -> None:
        """Starts the servers, which are killed when ``stack`` is closed, and waits until they can
        store a stream three times."""
        for server in self.servers:
            stack.callback(server.kill)
            others = [other for other in self.servers if other is not server]
            routes = [other.route for other in others]
            if relays:
                between = [Relay(other.route) for other in others]
                for relay, other in zip(between, others, strict=True):
                    other.relays.append(relay)
                to_clients = Relay(server.port)
                server.relays += [*between, to_clients]
                for relay in (*between, to_clients):
                    await stack.enter_async_context(relay.running())
                routes = [relay.port for relay in between]
                server.url = f"nats://127.0.0.1:{to_clients.port}"
            server.configure(routes, advertises=not relays)
        for server in self.servers:
            server.start()
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(*BrokerError):
                    async with self.client() as js:
                        await js.add_stream(name="probe", subjects=["probe"], num_replicas=SIZE)
                        await js.delete_stream("probe")
                        return
                await asyncio.sleep(0.5)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[JetStreamContext]:
        """JetStream, by a connection of its own to any server."""
        urls = [server.url for server in self.servers]
        bus = await connect_bus(urls, connect_timeout=1, max_reconnect_attempts=1, error_cb=_quiet)
        try:
            yield bus.jetstream(timeout=2)
        finally:
            await bus.close()

    async def leader(self, stream: str) -> NatsServer:
        """The server that leads a stream."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(*BrokerError):
                    async with self.client() as js:
                        found = (await js.stream_info(stream)).cluster
                        for server in self.servers:
                            if found is not None and server.name == found.leader:
                                return server
                await asyncio.sleep(0.3)

    async def until_copied(self, within: float = PATIENCE) -> None:
        """Waits until every replica of every stream has all messages."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(*BrokerError):
                    async with self.client() as js:
                        clusters = [item.cluster for item in await js.streams_info()]
                    if all(
                        found and found.leader and len(found.replicas or []) == SIZE - 1
                        and all(replica.current for replica in found.replicas or [])
                        for found in clusters
                    ):  # fmt: skip
                        return
                await asyncio.sleep(0.3)

    def cut_off(self, server: NatsServer) -> None:
        """Parts a server from the others and from clients, until :meth:`mend`."""
        for relay in server.relays:
            relay.hold()

    def mend(self) -> None:
        for server in self.servers:
            for relay in server.relays:
                relay.release()


async def _quiet(_error: Exception) -> None:
    """Ignores lost connections."""
