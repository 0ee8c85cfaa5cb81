"""Who listens right now: a key for each live subscription, gone soon after its process."""

from collections.abc import Iterable

from redis.asyncio import Redis

from event_gateway.core.subscription import Subscription

TTL = 90.0  # seconds; refreshed well before


class Subscriptions:
    """The live subscriptions of all processes, as others can see them in Redis."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix

    async def add(self, subscription: Subscription) -> None:
        """Stores a subscription. Raises what StateError names."""
        key = self._key(subscription.id)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(
                key,
                mapping={
                    "stream": subscription.stream,
                    "principal": subscription.principal,
                    "since": subscription.since,
                    "from": subscription.start,
                    "durable": subscription.durable,
                },
            )
            pipe.pexpire(key, round(TTL * 1000))
            await pipe.execute()

    async def remove(self, subscription_id: str) -> None:
        """Removes a subscription. Raises what StateError names."""
        await self._client.delete(self._key(subscription_id))

    async def refresh(self, ids: Iterable[str]) -> None:
        """Keeps these for another while. Raises what StateError names."""
        async with self._client.pipeline(transaction=False) as pipe:
            for subscription_id in ids:
                pipe.pexpire(self._key(subscription_id), round(TTL * 1000))
            await pipe.execute()

    def _key(self, subscription_id: str) -> str:
        return f"{self._prefix}subscription:{subscription_id}"
