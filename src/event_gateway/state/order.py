"""Ordered webhooks: which process delivers to each, and its position in each stream."""

import math
import time
from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis

from event_gateway.core.streams.known_log import KnownLog
from event_gateway.state.connection import servers_of
from event_gateway.state.keys import ORDERED, POSITION
from event_gateway.state.leases import Leases


class Order:
    """The leases and positions of ordered webhooks.

    ``holder`` names this process. Methods raise the exceptions in StateError.
    """

    def __init__(self, client: Redis, holder: str) -> None:
        self._client = client
        self._leases = Leases(client, holder)
        self._taken: dict[str, float] = {}  # by webhook: when it got the lease last

    async def lease(self, webhook_id: str, seconds: float) -> bool:
        """Takes or renews the webhook's lease; False if another process has it, or may have it.

        Another server that has become the primary may not know who took the lease last. That
        process insists on it; for ``seconds`` no other process takes it.
        """
        moved, got = None, False
        while moved != self._moved_at:  # again, if that happened during the call
            now, moved = time.monotonic(), self._moved_at
            taken = self._taken.get(webhook_id, -math.inf)
            has_it = now < taken + seconds
            if now < moved + seconds and not has_it:
                return False
            insists = has_it and taken < moved
            got = await self._leases.take(ORDERED.key(webhook_id), seconds, insist=insists)
        if got:
            self._taken[webhook_id] = now
        else:
            self._taken.pop(webhook_id, None)
        return got

    async def release(self, webhook_id: str) -> None:
        """Releases the webhook's lease, if this process has it."""
        self._taken.pop(webhook_id, None)
        await self._leases.release(ORDERED.key(webhook_id))

    @property
    def _moved_at(self) -> float:
        servers = servers_of(self._client)
        return -math.inf if servers is None else servers.primary.moved_at

    async def position(self, webhook_id: str, stream: str, log: KnownLog) -> int:
        """The sequence up to which all deliveries from a stream are done, as it counts in ``log``,
        which is what is known of the stream."""
        return (await self.positions([webhook_id], stream, log))[0]

    async def positions(self, webhook_ids: Sequence[str], stream: str, log: KnownLog) -> list[int]:
        """The positions of webhooks in a stream."""
        async with self._client.pipeline(transaction=False) as pipe:
            for webhook_id in webhook_ids:
                pipe.hget(POSITION.key(webhook_id), stream)
            return [_position(stored, log) for stored in await pipe.execute()]

    async def advance(self, webhook_id: str, stream: str, seq: int, log: KnownLog) -> None:
        """Stores that all deliveries up to a sequence of ``log`` are done."""
        value = f"{seq} {log.reset_at!r}" if log.resets else str(seq)
        await cast(Any, self._client.hset(POSITION.key(webhook_id), stream, value))

    async def forget(self, webhook_id: str) -> None:
        """Deletes the positions of a deleted webhook."""
        await self._client.delete(POSITION.key(webhook_id))


def _position(stored: bytes | None, log: KnownLog) -> int:
    if stored is None:
        return 0
    seq, _, reset = stored.decode().partition(" ")
    return log.lowered(int(seq), float(reset or 0))
