"""Several Valkeys on the loopback interface: a primary with replicas and Sentinels, and a cluster.

Each server can be killed, paused and started again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from event_gateway.embedded.servers import usable_port, valkey_binary
from support.killable_server import KillableServer
from support.patience import PATIENCE
from support.relay import Relay

MASTER = "gateway"
PEERS = "127.0.0.2"  # where the connections of servers and Sentinels to each other come from


class Server(KillableServer):
    """A server on a port of its own, with its data in a directory.

    ``seen`` is the port that others use, and ``bus`` that of the nodes of a cluster among each
    other. With relays, both lead through one. ``address``: where its own connections come from.
    """

    def __init__(
        self, directory: Path, name: str, *settings: str, address: str = "127.0.0.1"
    ) -> None:
        self._directory = directory / name
        self._directory.mkdir()
        super().__init__(self._directory / "log")
        self.name = name
        self.port = self.seen = usable_port()
        self._own_bus = self.bus = usable_port()
        self.address = address
        self.relays: list[Relay] = []
        self._settings = settings

    async def put_behind_relays(self, stack: contextlib.AsyncExitStack) -> None:
        """Has others reach it through relays, which run until ``stack`` is closed."""
        self.relays = [
            await stack.enter_async_context(Relay(port).running())
            for port in (self.port, self._own_bus)
        ]
        self.seen, self.bus = (relay.port for relay in self.relays)

    def command(self) -> list[str]:
        command = [
            valkey_binary(), self._file(), "--bind", "127.0.0.1", "--port", str(self.port),
            "--bind-source-addr", self.address, "--dir", str(self._directory), *self._settings,
        ]  # fmt: skip
        if "--cluster-enabled" in command:
            command += [
                "--cluster-port", str(self._own_bus), "--cluster-announce-port", str(self.seen),
                "--cluster-announce-bus-port", str(self.bus),
                "--cluster-announce-ip", "127.0.0.1",
            ]  # fmt: skip
        if "--sentinel" not in command:
            command += [
                "--replica-announce-ip", "127.0.0.1", "--replica-announce-port", str(self.seen),
            ]  # fmt: skip
        return command

    def write(self, text: str) -> None:
        """Writes its configuration file, into which it writes itself what it learns."""
        (self._directory / "server.conf").write_text(text)

    def _file(self) -> str:
        file = self._directory / "server.conf"
        file.touch()
        return str(file)

    async def ask(self, *command: Any, within: float = 1.0) -> Any:
        """The answer to a command, if it comes within so many seconds: a paused server does not
        answer. Raises what the client raises."""
        async with Redis(host="127.0.0.1", port=self.port, socket_timeout=within) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def tell(self, *command: Any) -> Any:
        """Waits for the answer to a command that must not be given twice."""
        return await self.ask(*command, within=PATIENCE)


async def until(condition: Any, what: str, within: float = PATIENCE) -> None:
    """Waits until an asynchronous condition holds; errors of servers count as no."""
    last: object = None
    try:
        async with asyncio.timeout(within):
            while True:
                try:
                    if await condition():
                        return
                except (RedisError, OSError, TimeoutError) as error:
                    last = error
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what}: {last}") from None


class Replicated:
    """A primary, replicas of it, and three Sentinels. ``settings``: further ones of each Valkey."""

    def __init__(
        self, directory: Path, replicas: int, down_after: int, settings: Iterable[str] = ()
    ) -> None:
        common = (
            "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0",
            "--min-replicas-to-write", "1", "--min-replicas-max-lag", "3",
            *settings,
        )  # fmt: skip
        self.servers = [
            Server(directory, f"valkey-{i}", *common, address=PEERS) for i in range(1 + replicas)
        ]
        self.sentinels = [
            Server(directory, f"sentinel-{i}", "--sentinel", address=PEERS) for i in range(3)
        ]
        self._down_after = down_after

    @property
    def config(self) -> dict[str, Any]:
        """The section ``redis`` of a gateway's configuration."""
        servers = [f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels]
        return {"sentinel": {"servers": servers, "master": MASTER}}

    async def start(self) -> None:
        first, *others = self.servers
        first.start()
        for server in others:
            server.write(f"replicaof 127.0.0.1 {first.seen}\n")
            server.start()
        for sentinel in self.sentinels:
            sentinel.write(
                f"sentinel monitor {MASTER} 127.0.0.1 {first.seen} 2\n"
                f"sentinel down-after-milliseconds {MASTER} {self._down_after}\n"
                f"sentinel failover-timeout {MASTER} 6000\n"
                "sentinel announce-ip 127.0.0.1\n"
            )
            sentinel.start()
        await until(self.is_ready, "the replicas and Sentinels do not come up")

    async def is_ready(self) -> bool:
        """Whether all Sentinels know each other and all replicas, which follow the primary."""
        for sentinel in self.sentinels:
            state = _pairs(await sentinel.ask("SENTINEL", "MASTER", MASTER))
            if state["flags"] != "master" or int(state["num-other-sentinels"]) != 2:
                return False
            if int(state["num-slaves"]) != len(self.servers) - 1:
                return False
        info = await (await self.primary()).ask("INFO", "replication")
        return int(info["min_slaves_good_slaves"]) == len(self.servers) - 1

    async def primary(self) -> Server:
        """The primary, as the first Sentinel that answers says."""
        for sentinel in self.sentinels:
            with contextlib.suppress(RedisError, OSError):
                state = _pairs(await sentinel.ask("SENTINEL", "MASTER", MASTER))
                found = [item for item in self.servers if item.seen == int(state["port"])]
                return found[0]
        raise AssertionError("no Sentinel answers")

    def cut_off(self, server: Server, *, also_clients: bool) -> None:
        """Parts a server from the others, and from its clients or not, until :meth:`mend`."""
        server.relays[0].hold("" if also_clients else PEERS)

    def mend(self) -> None:
        for server in self.servers:
            for relay in server.relays:
                relay.release()

    def stop(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()


class Cluster:
    """A Valkey Cluster: three primaries with a replica each."""

    def __init__(self, directory: Path, node_timeout: int) -> None:
        self.servers = [
            Server(
                directory, f"node-{i}", "--cluster-enabled", "yes",
                "--cluster-node-timeout", str(node_timeout),
                "--cluster-replica-validity-factor", "0",
                "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0",
                address=f"127.0.0.{10 + i}",
            )
            for i in range(6)
        ]  # fmt: skip

    @property
    def config(self) -> dict[str, Any]:
        """The section ``redis`` of a gateway's configuration."""
        return {"cluster": {"servers": [f"127.0.0.1:{self.servers[i].seen}" for i in (0, 1, 5)]}}

    async def start(self) -> None:
        for server in self.servers:
            server.start()
        first, primaries = self.servers[0], self.servers[:3]
        for server in self.servers:
            await until(lambda server=server: server.ask("PING"), f"{server.name} does not answer")
        for number, server in enumerate(primaries):
            begin, end = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            await server.tell("CLUSTER", "ADDSLOTSRANGE", str(begin), str(end))
            await server.tell("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for server in self.servers[1:]:
            await server.tell("CLUSTER", "MEET", "127.0.0.1", first.seen, first.bus)
        for primary, replica in zip(primaries, self.servers[3:], strict=True):
            name = (await primary.tell("CLUSTER", "MYID")).decode()

            async def follows(replica: Server = replica, name: str = name) -> bool:
                await replica.ask("CLUSTER", "REPLICATE", name)
                return True

            await until(follows, f"{replica.name} cannot become a replica")
        await until(self.is_ready, "the cluster does not come up")

    async def is_ready(self) -> bool:
        """Whether all nodes see the whole cluster, and each primary has its replica."""
        for server in self.servers:
            info = (await server.ask("CLUSTER", "INFO")).decode()
            if "cluster_state:ok" not in info or "cluster_known_nodes:6" not in info:
                return False
            replication = await server.ask("INFO", "replication")
            if replication["role"] == "master" and not replication["connected_slaves"]:
                return False
            if replication["role"] == "slave" and replication["master_link_status"] != "up":
                return False
        return True

    async def primary(self) -> Server:
        """The node that has the gateway's slot, by the first node that answers and knows."""
        for server in self.servers:
            with contextlib.suppress(RedisError, OSError, StopIteration):
                port = await self.owner(server)
                return next(item for item in self.servers if item.seen == port)
        raise AssertionError("no node answers")

    async def owner(self, server: Server) -> int:
        """The port of the node that has the gateway's slot, as a server sees it."""
        slot = int(await server.ask("CLUSTER", "KEYSLOT", "{eg}:"))
        for first, last, owner, *_ in await server.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return int(owner[1])
        raise StopIteration

    def cut_off(self, server: Server, *, also_clients: bool) -> None:
        """Parts a node from the others, and from its clients or not, until :meth:`mend`."""
        server.relays[1].hold()
        for other in self.servers:
            for relay in other.relays:
                relay.hold(server.address)
            server.relays[0].hold(other.address)
        if also_clients:
            server.relays[0].hold()

    def mend(self) -> None:
        for server in self.servers:
            for relay in server.relays:
                relay.release()

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


def _pairs(answer: Any) -> dict[str, str]:
    if isinstance(answer, dict):
        return {_text(name): _text(value) for name, value in answer.items()}
    return {_text(answer[i]): _text(answer[i + 1]) for i in range(0, len(answer), 2)}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.asynccontextmanager
async def running(servers: Replicated | Cluster) -> AsyncIterator[Replicated | Cluster]:
    """Runs them; at the end they are killed."""
    try:
        await servers.start()
        yield servers
    finally:
        servers.stop()
