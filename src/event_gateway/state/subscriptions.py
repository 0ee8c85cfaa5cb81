"""Who listens right now: a key for each live subscription, gone soon after its process."""

import asyncio
from collections.abc import Callable, Iterable

import structlog
from redis.asyncio import Redis

from event_gateway.core.streams.subscription import Subscription
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

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

    async def run(self, live: Callable[[], Iterable[str]]) -> None:
        """Keeps those whose ids ``live`` gives, for ever."""
        while True:
            await asyncio.sleep(TTL / 3)
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for subscription_id in live():
                        pipe.pexpire(self._key(subscription_id), round(TTL * 1000))
                    await pipe.execute()
            except StateError as error:
                log.debug("subscriptions not refreshed", error=str(error))

    def _key(self, subscription_id: str) -> str:
        return f"{self._prefix}subscription:{subscription_id}"
