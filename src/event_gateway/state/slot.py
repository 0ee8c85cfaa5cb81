"""All keys in one slot of a Redis Cluster: the owner of the slot, and a client that names keys so.

The scripts reach many keys in one step, which a Cluster only allows within a slot. All keys of the
gateway begin with ``{eg}:``, whose braces name the slot. The rest of the package names keys without
it: :class:`SlotClient` puts it in front of each key that it sends.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError

from event_gateway.state.client import RedisClient
from event_gateway.state.login import RedisLogin
from event_gateway.state.primary import Address, NoPrimary, ask_all

TAG = "{eg}:"
SLOT = key_slot(TAG.encode())
WAIT = 2.0  # seconds for the answers: a node may hang
_NO_KEY = frozenset({"PING", "INFO", "TIME", "SCRIPT", "MULTI", "EXEC", "DISCARD"})
_ONLY_KEYS = frozenset({"DEL", "EXISTS", "MGET", "RENAME"})


def in_slot(command: Sequence[Any]) -> tuple[Any, ...]:
    """A command with its keys in the gateway's slot. It takes the commands that this package uses:
    but for those that are named here, a command's first argument is its only key."""
    name = str(command[0]).upper().split()[0]
    if name in _NO_KEY:
        return tuple(command)
    if name in ("EVALSHA", "EVAL"):
        count = int(command[2])
        keys = [TAG + _text(key) for key in command[3 : 3 + count]]
        return (*command[:3], *keys, *command[3 + count :])
    if name in _ONLY_KEYS:
        return (command[0], *(TAG + _text(key) for key in command[1:]))
    if name == "SCAN":
        if "MATCH" not in command and b"MATCH" not in command:
            return tuple(command)
        at = command.index("MATCH" if "MATCH" in command else b"MATCH") + 1
        return (*command[:at], TAG + _text(command[at]), *command[at + 1 :])
    return (command[0], TAG + _text(command[1]), *command[2:])


def _text(key: str | bytes) -> str:
    return key if isinstance(key, str) else key.decode()


class SlotClient(RedisClient):
    """A client whose keys are all in the gateway's slot."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Sends one command."""
        answer = await super().execute_command(*in_slot(args), **options)
        if str(args[0]).upper() == "SCAN":
            cursor, keys = answer
            return cursor, [key[len(TAG) :] for key in keys]
        return answer

    async def call_scripts(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Sends scripts that leave in one write."""
        return await super().call_scripts([in_slot(call) for call in calls])

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "SlotPipeline":
        """Several commands in one round trip."""
        return SlotPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class SlotPipeline(Pipeline):
    """A pipeline whose keys are all in the gateway's slot."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Adds one command."""
        return super().execute_command(*in_slot(args), **options)


class SlotOwner:
    """Knows some nodes of a cluster, and asks them which one has the gateway's slot."""

    def __init__(self, places: Sequence[Address], login: RedisLogin) -> None:
        self._options = login.options()
        self._configured = tuple(places)
        self._clients: dict[Address, Redis] = {}
        self._nodes: tuple[Address, ...] = ()

    async def find(self) -> Address:
        """The node that has the slot, as most of the nodes that answer see it: one that was cut off
        from the others may still name the former owner. Where more than half of all name the same,
        the others are not waited for. Raises NoPrimary."""
        places = list(dict.fromkeys([*self._nodes, *self._configured]))
        answers = await ask_all(
            [self._ask(place) for place in places],
            lambda so_far: max(_owners(so_far).values(), default=0) > len(places) / 2,
        )
        views = [answer for answer in answers if isinstance(answer, _View)]
        faults = [
            f"{host}:{port} ({str(answer) or type(answer).__name__})"
            for (host, port), answer in zip(places, answers, strict=True)
            if isinstance(answer, BaseException)
        ]
        if not views:
            raise NoPrimary(f"no node of the Redis Cluster answers: {'; '.join(faults)}")
        owner, _ = _owners(views).most_common(1)[0]
        if owner is None:
            raise NoPrimary(f"no node of the Redis Cluster has the gateway's slot, {SLOT}")
        await self._learn_nodes(next(view for view in views if view.owner == owner))
        return owner

    def found(self) -> tuple[Address, ...]:
        """The nodes of the cluster, by the latest answer."""
        return self._nodes

    async def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _learn_nodes(self, view: "_View") -> None:
        self._nodes = view.nodes
        kept = {*self._configured, *self._nodes}
        for place in [place for place in self._clients if place not in kept]:
            await self._clients.pop(place).aclose()

    async def _ask(self, place: Address) -> "_View | BaseException":
        try:
            return await self._view(place)
        except (RedisError, OSError) as error:
            return error

    async def _view(self, place: Address) -> "_View":
        client = self._clients.get(place)
        if client is None:
            pool = ConnectionPool(
                host=place[0], port=place[1], socket_timeout=WAIT, socket_connect_timeout=WAIT,
                retry=Retry(NoBackoff(), 0), **self._options,
            )  # fmt: skip
            client = self._clients[place] = Redis.from_pool(pool)
        owner, nodes = None, []
        for first, last, *servers in await _slots(client):
            # A node that does not know its own address gives none.
            held = [((host or b"").decode() or place[0], int(port)) for host, port, *_ in servers]
            nodes += held
            if first <= SLOT <= last:
                owner = held[0]
        return _View(owner, tuple(dict.fromkeys(nodes)))


async def _slots(client: Redis) -> list[list[Any]]:
    answer: list[list[Any]] = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
    return answer


def _owners(answers: Sequence["_View | BaseException"]) -> Counter[Address | None]:
    """How many nodes name each owner."""
    return Counter(answer.owner for answer in answers if isinstance(answer, _View))


class _View(NamedTuple):
    """The answer of a node: which node has the slot, and all nodes that it knows."""

    owner: Address | None
    nodes: tuple[Address, ...]
