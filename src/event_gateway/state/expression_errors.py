"""Counts how often a webhook's expression could not be evaluated, with the latest error."""

import hashlib
import time
from typing import Any

import msgspec
from redis.asyncio import Redis

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.selection import evaluated_texts
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.keys import EXPRESSION
from event_gateway.state.notes import Notes

MAX_NOTED = 10_000  # webhooks whose errors are counted between two writes; others are ignored
MAX_SHOWN = 256  # characters of an event's id or source


class _Errors(msgspec.Struct):
    """Errors of an expression."""

    count: int
    latest: dict[str, str]

    def add(self, later: "_Errors") -> None:
        self.count += later.count
        self.latest = later.latest

    def write(self, pipe: Any, key: str) -> None:
        pipe.hincrby(key, "count", self.count)
        pipe.hset(key, "latest", msgspec.json.encode(self.latest))
        pipe.pexpire(key, EXPRESSION.ttl_ms)


class ExpressionErrors:
    """The counts of all processes together. :class:`Notes` says which errors they may miss."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._notes: Notes[_Errors] = Notes(client, subject="expression errors", most=MAX_NOTED)

    def note(self, webhook: Webhook, received: Received, error: EvaluationError) -> None:
        """Notes that a webhook's expression could not be evaluated for an event."""
        event = received.event
        latest = {
            "type": error.kind,
            "message": error.message,
            "event_id": event.id[:MAX_SHOWN],
            "source": event.source[:MAX_SHOWN],
            "at": rfc3339(time.time()),
        }
        self._notes.add(_key(webhook), _Errors(1, latest))

    async def of(self, webhook: Webhook) -> dict[str, Any] | None:
        """The count and the latest error of a webhook's present expression; None if it has none.

        Raises the exceptions in StateError.
        """
        count, latest = await self._client.hmget(_key(webhook), ["count", "latest"])
        if count is None or latest is None:
            return None
        return {"count": int(count), "latest": msgspec.json.decode(latest)}

    async def run(self) -> None:
        """Writes what was noted. It never returns."""
        await self._notes.run()


def _key(webhook: Webhook) -> str:
    # Each expression has its own count: when a webhook's expression changes, its count starts at 0.
    counted = "\n".join(evaluated_texts(webhook))
    if webhook.owner:  # a former webhook of this id may have had another owner
        counted = f"{webhook.created_at} {counted}"
    digest = hashlib.sha256(counted.encode()).hexdigest()[:8]
    return EXPRESSION.key(webhook.id, digest)
