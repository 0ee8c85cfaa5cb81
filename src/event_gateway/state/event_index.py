"""The index of events: at which positions of the log events of an id, a source or a subject are.

The router's batch writes it in the same call that remembers the events. Entries expire a day after
the log has dropped their events. What was logged before the index began, or was lost with Redis, is
added by reading the log again (``lookup/backfill.py``).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.state.index_entries import (
    DAY,
    PARTS,
    SequenceSpan,
    digest,
    packed,
    slot_of,
    spans_in,
)
from event_gateway.state.keys import FOUND, INDEXED_FROM, REREAD
from event_gateway.state.scripts import script

LONGEST = 400 * DAY  # seconds for which entries are kept at most
MAX_DAYS = LONGEST // DAY + 2
AT_A_TIME = 4  # days whose entries are read at a time: each may be some megabytes


class EventIndex:
    """Writes and reads the index. ``retention``: seconds for which the log stores events;
    ``external``: the same by external stream, 0: without a limit. Methods raise the exceptions in
    StateError."""

    def __init__(self, client: Redis, retention: float, external: Mapping[str, float]) -> None:
        self._client = client
        self._retention = retention
        self._external = external
        self._add = script(client, "index/add.lua")
        self._keep = script(client, "index/keep.lua")
        self._begins = script(client, "index/begins.lua")

    def arguments(self, events: Sequence[Received]) -> list[Any]:
        """What a script of the index takes for events of one stream, of which there is one at
        least; see ``shared/index.lua``."""
        stream = events[0].stream
        return [round(self.kept(stream) * 1000), stream, *packed(events)]

    def set_retention(self, seconds: float) -> None:
        """Sets for how long the log stores events."""
        self._retention = seconds

    def kept(self, stream: str) -> float:
        """For how many seconds the entries of an event are kept."""
        retention = self._external.get(stream, self._retention)
        return min(retention, LONGEST) if retention else float(LONGEST)

    async def add(self, events: Sequence[Received]) -> None:
        """Adds events of one stream, which may be in the index already."""
        if events:
            await self._add("", "", *self.arguments(events))

    async def extend(
        self, stream: str, begins: int, earlier: int, events: Sequence[Received]
    ) -> bool:
        """Adds the events from the sequence ``earlier`` to before ``begins``, where the index
        begins now; False if it does not, and nothing was added."""
        arguments = self.arguments(events) if events else [round(self.kept(stream) * 1000), stream]
        return bool(await self._add(begins, earlier, *arguments))

    async def keep(self, stream: str, days: Iterable[int]) -> None:
        """Keeps the entries of these days for as long as the log stores their events now; those
        that are kept for longer stay as they are."""
        for day in islice(days, MAX_DAYS):
            slots = [f"{day}:{part}" for part in range(PARTS)]
            await self._keep(round(self.kept(stream) * 1000), stream, *slots)

    async def begins(self, stream: str) -> int | None:
        """The sequence from which on the index has all events that the router has taken; None: it
        has none yet."""
        begins = await self._begins(stream)
        return None if begins is None else int(begins)

    async def extent(self, stream: str) -> tuple[int | None, bool]:
        """As :meth:`begins`, and whether entries may be missing all the same: Redis may have lost
        its latest writes, and the repair has not read the log again yet."""
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hget(INDEXED_FROM.key(), stream)
            pipeline.hexists(REREAD.key(), stream)
            begins, rereading = await pipeline.execute()
        return None if begins is None else int(begins), bool(rereading)

    async def begin(self, stream: str, seq: int) -> None:
        """Notes where the index begins, if that is not known."""
        await cast(Any, self._client.hsetnx(INDEXED_FROM.key(), stream, seq))

    async def find(
        self, stream: str, kind: bytes, text: str, days: Iterable[int]
    ) -> set[SequenceSpan]:
        """The sequences at which events that the log has stored on these days (of the Unix time)
        may have a text."""
        made = digest(kind, text)
        keys = [FOUND.key(stream, slot_of(day, made)) for day in days][:MAX_DAYS]
        found: set[SequenceSpan] = set()
        for start in range(0, len(keys), AT_A_TIME):
            stored = await self._client.mget(keys[start : start + AT_A_TIME])
            for content in cast(list[bytes | None], stored):
                found |= spans_in(content or b"", made)
        return found
