"""Checkpoints: the sequence in each stream up to which every event has its records.

Checkpoints are stored beside the records: a server that loses records loses their checkpoints too.
"""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import REREADING
from event_gateway.state.leases import Leases
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class Checkpoint(msgspec.Struct, frozen=True):
    """``seq``: every event up to this sequence has its records; None: not known.
    ``reread``: the stream must be read again from there."""

    seq: int | None
    reread: bool


class Checkpoints:
    """The checkpoints of all streams.

    ``holder`` names this process. Methods raise the exceptions in StateError.
    """

    def __init__(self, client: Redis, holder: str) -> None:
        self.server = ""  # the identity of the server at the last call of `exchange`
        self._leases = Leases(client, holder)
        self._note = script(client, "checkpoints/note.lua")
        self._advance = script(client, "checkpoints/advance.lua")

    async def exchange(
        self, streams: Sequence[str], new: Mapping[str, int]
    ) -> tuple[bool, dict[str, Checkpoint]]:
        """Writes new checkpoints, except of streams that must be read again, and reads all.

        Returns whether the server was replaced or restarted since the last call, and the
        checkpoints of ``streams``.
        """
        server, rows = await self._note(self.server, _pack(list(streams)), _pack(dict(new)))
        changed = self.server != server.decode()
        self.server = server.decode()
        return changed, {
            stream.decode(): Checkpoint(int(seq) if seq else None, bool(reread))
            for stream, seq, reread in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        }

    async def advance(self, stream: str, seq: int, server: str, *, complete: bool) -> bool:
        """Advances a checkpoint after the stream was read again up to a sequence.

        ``complete``: the stream was read to its end. Returns False if ``server``, which has the new
        records, was replaced or restarted since.
        """
        return bool(await self._advance(server, stream, seq, int(complete)))

    async def lease(self, stream: str, seconds: float) -> bool:
        """Takes or renews the lease to read a stream again; False if another process has it."""
        return await self._leases.take(REREADING.key(stream), seconds)

    async def release(self, stream: str) -> None:
        """Releases the lease to read a stream again, if this process has it."""
        await self._leases.release(REREADING.key(stream))
