"""Live subscriptions: each has a key, which expires soon after its process has ended."""

import asyncio
from collections.abc import Callable, Iterable

import structlog
from redis.asyncio import Redis

from event_gateway.core.streams.subscription import Subscription
from event_gateway.state.connection import StateError
from event_gateway.state.keys import SUBSCRIPTION

log = structlog.get_logger(__name__)

_TTL = SUBSCRIPTION.ttl_ms
RENEW = _TTL / 1000 / 3  # seconds


class Subscriptions:
    """The live subscriptions of all processes, stored in Redis for other tools to see."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def add(self, subscription: Subscription) -> None:
        """Stores a subscription. Raises the exceptions in StateError."""
        key = SUBSCRIPTION.key(subscription.id)
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
            pipe.pexpire(key, _TTL)
            await pipe.execute()

    async def remove(self, subscription_id: str) -> None:
        """Removes a subscription. Raises the exceptions in StateError."""
        await self._client.delete(SUBSCRIPTION.key(subscription_id))

    async def run(self, live: Callable[[], Iterable[str]]) -> None:
        """Renews the subscriptions whose ids ``live`` returns. It never returns."""
        while True:
            await asyncio.sleep(RENEW)
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for subscription_id in live():
                        pipe.pexpire(SUBSCRIPTION.key(subscription_id), _TTL)
                    await pipe.execute()
            except StateError as error:
                log.debug("live subscriptions were not renewed in Redis", error=str(error))
