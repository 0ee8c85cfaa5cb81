"""Checkpoints: up to where in each stream every event has its records, and what is to be reread.

They lie where the records do, so that whoever loses records loses the checkpoints behind them too.
"""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class Checkpoint(msgspec.Struct, frozen=True):
    """``at``: up to that sequence all is recorded, None where nothing is known of that; ``reread``:
    what lies behind it is to be read again."""

    at: int | None
    reread: bool


class Checkpoints:
    """``holder`` names this process. Its methods raise what StateError names."""

    def __init__(self, client: Redis, holder: str, prefix: str = "") -> None:
        self._client = client
        self._holder = holder
        self._prefix = prefix
        self.server = ""  # as it was at the last look
        self._look = script(client, "checkpoint.lua")
        self._advance = script(client, "advance.lua")
        self._hold = script(client, "hold.lua")

    async def look(
        self, streams: Sequence[str], note: Mapping[str, int]
    ) -> tuple[bool, dict[str, Checkpoint]]:
        """Writes checkpoints, but where something is to be reread; gives how all of them are, and
        whether the server is another one, or started anew, since the last look."""
        args = [self.server, _pack(list(streams)), _pack(dict(note))]
        server, rows = await self._look(keys=[self._prefix], args=args)
        changed = self.server != server.decode()
        self.server = server.decode()
        return changed, {
            stream.decode(): Checkpoint(int(at) if at else None, bool(reread))
            for stream, at, reread in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        }

    async def advance(self, stream: str, seq: int, server: str, *, whole: bool) -> bool:
        """What is reread has its records up to there; ``whole``: that is all.

        False where it is not the ``server`` any more that has them.
        """
        args = [server, stream, seq, int(whole)]
        return bool(await self._advance(keys=[self._prefix], args=args))

    async def hold(self, stream: str, seconds: float) -> bool:
        """Takes the rereading of a stream for so long; False where another process has it."""
        key = f"{self._prefix}rereading:{stream}"
        return bool(await self._hold(keys=[key], args=[self._holder, round(seconds * 1000)]))

    async def release(self, stream: str) -> None:
        """Gives it up, if this process has it."""
        if await self.hold(stream, 1.0):
            await self._client.delete(f"{self._prefix}rereading:{stream}")
