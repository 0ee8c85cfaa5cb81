"""Checkpoints: the sequence in each stream up to which every event has its records.

Checkpoints are stored beside the records: a server that loses records loses their checkpoints too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import CHECKPOINT, REREADING
from event_gateway.state.leases import Leases
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class Checkpoint(msgspec.Struct, frozen=True):
    """``seq``: every event up to this sequence has its records; None: not known.
    ``mark``: 0, or the stream must be read again from there; a new number each time that a process
    finds out that it must."""

    seq: int | None
    mark: int

    @property
    def reread(self) -> bool:
        """Whether the stream must be read again."""
        return self.mark > 0


class Checkpoints:
    """The checkpoints of all streams.

    ``holder`` names this process. Methods raise the exceptions in StateError.
    """

    def __init__(self, client: Redis, holder: str) -> None:
        self.server = ""  # the identity of the server at the last call of `exchange`
        self._client = client
        self._leases = Leases(client, holder)
        self._note = script(client, "checkpoints/note.lua")
        self._reset = script(client, "checkpoints/reset.lua")
        self._advance = script(client, "checkpoints/advance.lua")

    async def exchange(
        self, streams: Sequence[str], new: Mapping[str, int], *, mark: bool = False
    ) -> tuple[bool, dict[str, Checkpoint]]:
        """Writes new checkpoints, except of streams that must be read again, and reads all.
        ``mark``: all streams must be read again, as when the server was replaced.

        Returns whether the server was replaced or restarted since the last call, and the
        checkpoints of ``streams``.
        """
        known = "" if mark else self.server
        server, rows = await self._note(known, _pack(list(streams)), _pack(dict(new)))
        changed = self.server != server.decode()
        self.server = server.decode()
        return changed, {
            stream.decode(): Checkpoint(int(seq) if seq else None, int(mark))
            for stream, seq, mark in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        }

    async def advance(self, stream: str, seq: int, server: str, *, mark: int | None) -> bool:
        """Advances a checkpoint after the stream was read again up to a sequence.

        ``mark``: the stream was read to the end that it had after it had this mark; None: only a
        part was read. Returns False if ``server``, which has the new records, was replaced or
        restarted since, or if the stream was read to its end and has another mark by now: then it
        must be read again.
        """
        return bool(await self._advance(server, stream, seq, mark or 0))

    async def read(self, stream: str) -> int | None:
        """The checkpoint of a stream; None if there is none."""
        stored = await cast(Any, self._client.hget(CHECKPOINT.key(), stream))
        return None if stored is None else int(stored)

    async def begin(self, stream: str, seq: int) -> None:
        """Sets the checkpoint of a stream in which no webhook gets an event up to a sequence."""
        await cast(Any, self._client.hset(CHECKPOINT.key(), stream, str(seq)))

    async def reset(self, stream: str, at: float, floor: int) -> None:
        """Lowers what is stored of a stream whose sequences have gone back to ``floor``; records
        and cached events from before ``at`` (Unix time) do not count for its new messages."""
        await self._reset(stream, round(at * 1000), floor)

    async def lease(self, stream: str, seconds: float) -> bool:
        """Takes or renews the lease to read a stream again; False if another process has it."""
        return await self._leases.take(REREADING.key(stream), seconds)

    async def release(self, stream: str) -> None:
        """Releases the lease to read a stream again, if this process has it."""
        await self._leases.release(REREADING.key(stream))
