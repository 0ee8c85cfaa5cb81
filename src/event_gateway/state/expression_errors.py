"""How often a webhook's expression came to no value, and the latest time, for its owner to see."""

import asyncio
import hashlib
import time
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import EvaluationError
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

FLUSH = 1.0  # seconds between two writes
KEEP = 7 * 86400.0  # seconds that errors are shown for after the latest one
MAX_NOTED = 10_000  # webhooks with errors between two writes; of the others it is not told
MAX_SHOWN = 256  # characters of an event's id or source


class ExpressionErrors:
    """Counts in all processes together. What was noted less than a second ago is lost with its
    process; nothing depends on it."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self._noted: dict[str, tuple[int, bytes]] = {}

    def note(self, webhook: Webhook, received: Received, error: EvaluationError) -> None:
        """An expression that came to no value of an event."""
        key = self._key(webhook)
        known = self._noted.get(key)
        if known is None and len(self._noted) >= MAX_NOTED:
            return
        event = received.event
        latest = {
            "type": error.kind,
            "message": error.message,
            "event_id": event.id[:MAX_SHOWN],
            "source": event.source[:MAX_SHOWN],
            "at": rfc3339(time.time()),
        }
        self._noted[key] = (1 if known is None else known[0] + 1, msgspec.json.encode(latest))

    async def of(self, webhook: Webhook) -> dict[str, Any] | None:
        """The count and the latest error of a webhook's present expression; None without any.

        Raises what StateError names.
        """
        count, latest = await self._client.hmget(self._key(webhook), ["count", "latest"])
        if count is None or latest is None:
            return None
        return {"count": int(count), "latest": msgspec.json.decode(latest)}

    async def run(self) -> None:
        """Writes what was noted, for ever."""
        while True:
            await asyncio.sleep(FLUSH)
            if not self._noted:
                continue
            noted, self._noted = self._noted, {}
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for key, (count, latest) in noted.items():
                        pipe.hincrby(key, "count", count)
                        pipe.hset(key, "latest", latest)
                        pipe.pexpire(key, round(KEEP * 1000))
                    await pipe.execute()
            except StateError as error:
                log.debug("expression errors not written", error=str(error))

    def _key(self, webhook: Webhook) -> str:
        # Another expression begins anew.
        digest = hashlib.sha256((webhook.expression or "").encode()).hexdigest()[:8]
        return f"{self._prefix}expression:{webhook.id}:{digest}"
