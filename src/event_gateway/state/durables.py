"""Durable names: the acknowledged position of each, and the subscription that has it."""

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.state.connection import StateError
from event_gateway.state.keys import DURABLE
from event_gateway.state.scripts import script

log = structlog.get_logger(__name__)

GATHER = 0.02  # seconds for which acknowledgements are gathered
AGAIN = 1.0  # seconds until they are written again, where Redis is away
AT_ONCE = 500


class Name(msgspec.Struct, frozen=True):
    """A durable name of a stream; ``made``: when that stream was, so that one of the same name that
    is made later has nothing to do with it."""

    stream: str
    name: str
    made: float


class Claim(msgspec.Struct, frozen=True):
    """``holder``: the subscription that has the name; empty where it is one's own now.
    ``position``: the last acknowledged sequence, None where there is none."""

    holder: str = ""
    position: int | None = None


Written = Callable[[bool], None]  # False where another subscription has the name by now


class DurablePositions:
    """The durable names. Methods raise what StateError names."""

    def __init__(self, client: Redis) -> None:
        self._claim = script(client, "durables/claim.lua")
        self._save_position = script(client, "durables/save_position.lua")
        self._acked: dict[str, tuple[Name, int, list[Written]]] = {}
        self._wake = asyncio.Event()

    async def claim(self, name: Name, subscription_id: str, instead_of: str = "") -> Claim:
        """Takes a name that is free, or that ``instead_of`` has."""
        taken, answer = await self._claim(
            subscription_id, repr(name.made), instead_of, DURABLE.ttl_ms, key=_key(name)
        )
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        if not int(taken):
            return Claim(text)
        return Claim("", None if text == "-1" else int(text))

    async def move(self, name: Name, subscription_id: str, position: int) -> bool:
        """Moves the position on, never back; False where another subscription has the name."""
        return await self._write(name, subscription_id, position, release=False)

    def acked(self, name: Name, subscription_id: str, position: int, written: Written) -> None:
        """The same soon, together with others'; ``written`` is called then."""
        _, known, waiting = self._acked.get(subscription_id, (name, -1, []))
        self._acked[subscription_id] = name, max(known, position), [*waiting, written]
        self._wake.set()

    async def release(self, name: Name, subscription_id: str) -> None:
        """Gives a name up; what was acknowledged is written with it."""
        _, position, waiting = self._acked.pop(subscription_id, (name, -1, []))
        held = await self._write(name, subscription_id, position, release=True)
        for written in waiting:
            written(held)

    async def run(self) -> None:
        """Writes what is acknowledged, for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()
            acked, self._acked = self._acked, {}
            try:
                await self._write_all(acked)
            except BaseException as error:
                for subscription_id, one in acked.items():
                    later = self._acked.get(subscription_id, one)
                    self._acked[subscription_id] = (
                        one[0], max(one[1], later[1]),
                        one[2] if later is one else [*one[2], *later[2]],
                    )  # fmt: skip
                self._wake.set()
                if not isinstance(error, StateError):
                    raise
                log.debug("acknowledgements wait", error=str(error))
                await asyncio.sleep(AGAIN)

    async def _write_all(self, acked: dict[str, tuple[Name, int, list[Written]]]) -> None:
        ids = list(acked)
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            held = await asyncio.gather(
                *(self._write(acked[one][0], one, acked[one][1], release=False) for one in some)
            )
            for one, is_held in zip(some, held, strict=True):
                for written in acked.pop(one)[2]:
                    written(is_held)

    async def _write(
        self, name: Name, subscription_id: str, position: int, *, release: bool
    ) -> bool:
        saved = await self._save_position(
            subscription_id, position, int(release), DURABLE.ttl_ms, key=_key(name)
        )
        return bool(saved)


def _key(name: Name) -> str:
    return DURABLE.key(name.stream, name.name)
