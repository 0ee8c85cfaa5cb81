"""Gives the deliveries and the history of a renamed webhook to its new id.

Each step is atomic and may be repeated: after a crash at any instruction the next call goes on.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import DELIVERY, QUEUE
from event_gateway.state.ledger import Ledger
from event_gateway.state.records import FORMAT, source_hash
from event_gateway.state.script_arguments import MovedDelivery
from event_gateway.state.scripts import script

BATCH = 128  # deliveries in one call
SCANNED = 1000  # keys that Redis looks at in one call

_pack = msgspec.msgpack.Encoder().encode


class Renames:
    """Moves what Redis has of a webhook. Methods raise the exceptions in StateError.

    ``report_due`` is called when deliveries may have become due in the queue of the new id.
    """

    def __init__(self, client: Redis, ledger: Ledger, *, report_due: Callable[[], None]) -> None:
        self._client = client
        self._ledger = ledger
        self._report_due = report_due
        self._begin = script(client, "renames/begin.lua")
        self._move = script(client, "renames/move.lua")
        self._finish = script(client, "renames/finish.lua")

    async def begin(self, former: str, webhook_id: str) -> None:
        """Gives the state of the lane to the new id."""
        await self._begin(former, webhook_id)

    async def move_queue(self, former: str, webhook_id: str) -> int:
        """Moves the deliveries that wait; returns how many stay, as they may be under way."""
        begin = 0
        while True:
            members = await cast(
                Any, self._client.zrange(QUEUE.key(former), begin, begin + BATCH - 1)
            )
            if not members:
                return begin
            stay = await self._move_all(former, webhook_id, members, ended=False)
            if stay < len(members):
                self._report_due()
            begin += stay

    async def move_records(self, former: str, webhook_id: str) -> None:
        """Moves all other records: no attempt of the former id is under way any more."""
        prefix = DELIVERY.key(former, "")
        cursor, first = 0, True
        while cursor or first:
            first = False
            scanned = self._client.scan(cursor, match=f"{prefix}*", count=SCANNED)
            cursor, keys = await cast(Any, scanned)
            members = [key[len(prefix.encode()) :] for key in keys]
            for start in range(0, len(members), BATCH):
                await self._move_all(former, webhook_id, members[start : start + BATCH], ended=True)

    async def finish(self, former: str, webhook_id: str) -> bool:
        """Adds up the counts, and deletes what is left of the former id. False, and nothing is
        done, if its queue is not empty."""
        retention = round(self._ledger.retention * 1000)
        return bool(await self._finish(former, webhook_id, retention))

    async def _move_all(
        self, former: str, webhook_id: str, members: Sequence[bytes], *, ended: bool
    ) -> int:
        async with self._client.pipeline(transaction=False) as pipe:
            for member in members:
                pipe.hget(DELIVERY.key(former, member.decode()), "source")
            sources = await pipe.execute()
        moved = [
            _moved(member.decode(), (source or b"").decode())
            for member, source in zip(members, sources, strict=True)
        ]
        return int(await self._move(former, webhook_id, _pack(moved), FORMAT, int(ended)))


def _moved(member: str, source: str) -> MovedDelivery:
    hashed = source_hash(source)
    return MovedDelivery(member, member.removesuffix(f"~{hashed}"), source, hashed)
