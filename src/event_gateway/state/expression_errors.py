"""Counts how often a webhook's expression could not be evaluated, with the latest error."""

import hashlib
import time
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.beats import beat
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.selection import evaluated_texts
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError
from event_gateway.state.keys import EXPRESSION

log = structlog.get_logger(__name__)

FLUSH = 1.0  # seconds between two writes
MAX_NOTED = 10_000  # webhooks whose errors are counted between two writes; others are ignored
MAX_SHOWN = 256  # characters of an event's id or source


class ExpressionErrors:
    """The counts of all processes together. A process that crashes loses its last second of errors;
    nothing depends on them."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._noted: dict[str, tuple[int, bytes]] = {}

    def note(self, webhook: Webhook, received: Received, error: EvaluationError) -> None:
        """Notes that a webhook's expression could not be evaluated for an event."""
        key = _key(webhook)
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
        """The count and the latest error of a webhook's present expression; None if it has none.

        Raises the exceptions in StateError.
        """
        count, latest = await self._client.hmget(_key(webhook), ["count", "latest"])
        if count is None or latest is None:
            return None
        return {"count": int(count), "latest": msgspec.json.decode(latest)}

    async def run(self) -> None:
        """Writes the noted errors. It never returns."""
        while True:
            await beat(FLUSH)
            if not self._noted:
                continue
            noted, self._noted = self._noted, {}
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for key, (count, latest) in noted.items():
                        pipe.hincrby(key, "count", count)
                        pipe.hset(key, "latest", latest)
                        pipe.pexpire(key, EXPRESSION.ttl_ms)
                    await pipe.execute()
            except StateError as error:
                log.debug("expression errors were not written", error=str(error))


def _key(webhook: Webhook) -> str:
    # Each expression has its own count: when a webhook's expression changes, its count starts at 0.
    counted = "\n".join(evaluated_texts(webhook))
    if webhook.owner:  # a former webhook of this id may have been somebody else's
        counted = f"{webhook.created_at} {counted}"
    digest = hashlib.sha256(counted.encode()).hexdigest()[:8]
    return EXPRESSION.key(webhook.id, digest)
