"""Durable names: the acknowledged position of each, and the subscription that uses it."""

import asyncio
import hashlib
from collections.abc import Callable

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.state.connection import StateError
from event_gateway.state.keys import DURABLE
from event_gateway.state.scripts import script

log = structlog.get_logger(__name__)

GATHER = 0.02  # seconds in which acknowledgements gather before they are written
RETRY_AFTER = 1.0  # seconds until a failed write is retried
CONCURRENT_WRITES = 500


class Name(msgspec.Struct, frozen=True):
    """A durable name of a stream. Each ``owner`` has names of its own; empty: the operators.

    ``created_at``: when the stream was created. A later stream with the same name has other durable
    names.
    """

    stream: str
    name: str
    created_at: float
    owner: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True):
    """The result of a claim.

    ``holder``: the other subscription that uses the name; empty if the claim succeeded.
    ``position``: the last acknowledged sequence; None if there is none. ``former``: the name has
    only a position in a former stream of the same name.
    """

    holder: str = ""
    position: int | None = None
    former: bool = False


Written = Callable[[bool], None]  # gets False if another subscription uses the name by now


class DurablePositions:
    """Stores the positions of durable names. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._claim = script(client, "durables/claim.lua")
        self._save_position = script(client, "durables/save_position.lua")
        # By subscription: its durable name, the highest acknowledged position, the callbacks.
        self._acked: dict[str, tuple[Name, int, list[Written]]] = {}
        self._acknowledged = asyncio.Event()

    async def claim(self, name: Name, subscription_id: str, instead_of: str = "") -> Claim:
        """Takes a name that is free, or that the subscription ``instead_of`` uses."""
        taken, reply = await self._claim(
            subscription_id, repr(name.created_at), instead_of, DURABLE.ttl_ms, key=_key(name)
        )
        text = reply.decode() if isinstance(reply, bytes) else str(reply)
        if not int(taken):
            return Claim(text)
        return Claim("", int(text) if text.isdecimal() else None, text == "former")

    def advance(self, name: Name, subscription_id: str, position: int, written: Written) -> None:
        """Advances the position, soon and together with others; a lower position is ignored.

        ``written`` is called after the write.
        """
        _, earlier, callbacks = self._acked.get(subscription_id, (name, -1, []))
        self._acked[subscription_id] = name, max(earlier, position), [*callbacks, written]
        self._acknowledged.set()

    async def release(self, name: Name, subscription_id: str) -> None:
        """Releases a name, and writes its pending acknowledgements."""
        _, position, callbacks = self._acked.pop(subscription_id, (name, -1, []))
        saved = await self._write(name, subscription_id, position, release=True)
        for written in callbacks:
            written(saved)

    async def run(self) -> None:
        """Writes the acknowledged positions. It never returns."""
        while True:
            await self._acknowledged.wait()
            await asyncio.sleep(GATHER)
            self._acknowledged.clear()
            acked, self._acked = self._acked, {}
            try:
                await self._write_all(acked)
            except BaseException as error:
                for subscription_id, unwritten in acked.items():
                    name, position, callbacks = unwritten
                    later = self._acked.get(subscription_id, unwritten)
                    self._acked[subscription_id] = (
                        name, max(position, later[1]),
                        callbacks if later is unwritten else [*callbacks, *later[2]],
                    )  # fmt: skip
                self._acknowledged.set()
                if not isinstance(error, StateError):
                    raise
                log.debug("acknowledged positions are not written yet", error=str(error))
                await asyncio.sleep(RETRY_AFTER)

    async def _write_all(self, acked: dict[str, tuple[Name, int, list[Written]]]) -> None:
        ids = list(acked)
        for first in range(0, len(ids), CONCURRENT_WRITES):
            batch = ids[first : first + CONCURRENT_WRITES]
            results = await asyncio.gather(
                *(
                    self._write(acked[subscription_id][0], subscription_id,
                                acked[subscription_id][1], release=False)
                    for subscription_id in batch
                )
            )  # fmt: skip
            for subscription_id, saved in zip(batch, results, strict=True):
                for written in acked.pop(subscription_id)[2]:
                    written(saved)

    async def _write(
        self, name: Name, subscription_id: str, position: int, *, release: bool
    ) -> bool:
        saved = await self._save_position(
            subscription_id, position, int(release), DURABLE.ttl_ms, key=_key(name)
        )
        return bool(saved)


def _key(name: Name) -> str:
    if not name.owner:
        return DURABLE.key(name.stream, name.name)
    digest = hashlib.sha256(msgspec.json.encode(name.owner)).hexdigest()[:32]
    return DURABLE.key(name.stream, f"{name.name}~{digest}")  # no name has a ~
