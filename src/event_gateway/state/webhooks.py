"""A copy of each webhook in Redis, for people and tools. The registry in NATS has the original."""

import asyncio
from itertools import islice

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError
from event_gateway.state.keys import WEBHOOK

log = structlog.get_logger(__name__)

AT_ONCE = 256  # copies that are written in one call: at the start there is one of each webhook


class WebhookCopies:
    """Writes the latest change of each webhook to its copy."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._changes: dict[str, Webhook | None] = {}
        self._changed = asyncio.Event()

    def put(self, webhook_id: str, webhook: Webhook | None) -> None:
        """Submits a change; None: the webhook was deleted."""
        self._changes[webhook_id] = webhook
        self._changed.set()

    async def run(self) -> None:
        """Writes the submitted changes. It never returns."""
        while True:
            await self._changed.wait()
            first = list(islice(self._changes, AT_ONCE))
            changes = {webhook_id: self._changes.pop(webhook_id) for webhook_id in first}
            if not self._changes:
                self._changed.clear()
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for webhook_id, webhook in changes.items():
                        key = WEBHOOK.key(webhook_id)
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
                log.warning("the copies of webhooks in Redis are not written yet", error=str(error))
                await asyncio.sleep(1)
