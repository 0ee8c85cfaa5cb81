"""A copy of each webhook in Redis, for those who look there. The registry is the truth."""

import asyncio

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)


class WebhookCopies:
    """Writes the latest of each webhook's changes to ``webhook:{id}``."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self._changes: dict[str, Webhook | None] = {}
        self._changed = asyncio.Event()

    def put(self, webhook_id: str, webhook: Webhook | None) -> None:
        """Notes a change; None where the webhook is gone."""
        self._changes[webhook_id] = webhook
        self._changed.set()

    async def run(self) -> None:
        """Writes what was noted, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes, self._changes = self._changes, {}
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for webhook_id, webhook in changes.items():
                        key = f"{self._prefix}webhook:{webhook_id}"
                        if webhook is None:
                            pipe.delete(key)
                        else:
                            pipe.set(key, msgspec.json.encode(webhook))
                    await pipe.execute()
            except BaseException as error:
                self._changes = changes | self._changes
                self._changed.set()
                if not isinstance(error, StateError):
                    raise
                log.warning("webhook copies not written yet", error=str(error))
                await asyncio.sleep(1)
