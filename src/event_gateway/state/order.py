"""Ordered webhooks: which process delivers to each, and its position in each stream."""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis

from event_gateway.core.streams.known_log import KnownLog
from event_gateway.state.keys import ORDERED, POSITION
from event_gateway.state.leases import Leases


class Order:
    """The leases and positions of ordered webhooks.

    ``holder`` names this process. Methods raise the exceptions in StateError.
    """

    def __init__(self, client: Redis, holder: str) -> None:
        self._client = client
        self._leases = Leases(client, holder)

    async def lease(self, webhook_id: str, seconds: float) -> bool:
        """Takes or renews the webhook's lease; False if another process has it."""
        return await self._leases.take(ORDERED.key(webhook_id), seconds)

    async def release(self, webhook_id: str) -> None:
        """Releases the webhook's lease, if this process has it."""
        await self._leases.release(ORDERED.key(webhook_id))

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
