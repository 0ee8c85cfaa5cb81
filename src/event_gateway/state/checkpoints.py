"""Checkpoints: up to where in each stream every event has its records, and what is to be reread.

They are stored where the records are: a server that loses records loses their checkpoints too.
"""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import REREADING
from event_gateway.state.leases import Leases
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class Checkpoint(msgspec.Struct, frozen=True):
    """``at``: every event up to that sequence has its records, None where that is not known.
    ``reread``: the stream is to be read again from there."""

    at: int | None
    reread: bool


class Checkpoints:
    """The checkpoints of all streams. ``holder`` names this process. Methods raise what StateError
    names."""

    def __init__(self, client: Redis, holder: str) -> None:
        self.server = ""  # as it was at the last look
        self._leases = Leases(client, holder)
        self._note = script(client, "checkpoints/note.lua")
        self._advance = script(client, "checkpoints/advance.lua")

    async def look(
        self, streams: Sequence[str], note: Mapping[str, int]
    ) -> tuple[bool, dict[str, Checkpoint]]:
        """Writes checkpoints, except of streams that are to be reread. Returns whether the server
        is another one, or has restarted, since the last look; and all checkpoints."""
        server, rows = await self._note(self.server, _pack(list(streams)), _pack(dict(note)))
        changed = self.server != server.decode()
        self.server = server.decode()
        return changed, {
            stream.decode(): Checkpoint(int(at) if at else None, bool(reread))
            for stream, at, reread in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        }

    async def advance(self, stream: str, seq: int, server: str, *, whole: bool) -> bool:
        """Moves a checkpoint on, as the stream was reread up to there; ``whole``: that is all.

        False where the ``server`` that has the new records is another one by now.
        """
        return bool(await self._advance(server, stream, seq, int(whole)))

    async def hold(self, stream: str, seconds: float) -> bool:
        """Takes the rereading of a stream for so long; False where another process has it."""
        return await self._leases.take(REREADING.key(stream), seconds)

    async def release(self, stream: str) -> None:
        """Releases the rereading of a stream, if this process has it."""
        await self._leases.release(REREADING.key(stream))
