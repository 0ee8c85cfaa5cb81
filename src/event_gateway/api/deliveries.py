"""``/v1/deliveries``: what became of an event on its way to a webhook."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request

from event_gateway.api.auth import GuardedRoute
from event_gateway.api.context import Context
from event_gateway.api.problems import Problem
from event_gateway.core.times import rfc3339

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"], route_class=GuardedRoute)


@router.get("/{webhook_id}/{event_id:path}")
async def show_delivery(
    request: Request, webhook_id: str, event_id: str, source: str | None = None
) -> dict[str, Any]:
    """Status, attempts and next attempt. ``source`` tells events of the same id apart."""
    context: Context = request.app.state.context
    record = await context.ledger.read(webhook_id, event_id, source)
    if record is None:
        raise Problem(404, f"no delivery of {event_id} to {webhook_id} is recorded")
    next_at = record.next_attempt_at
    return {
        "webhook_id": record.webhook_id,
        "event_id": record.event_id,
        "source": record.source,
        "status": record.status.value,
        "updated_at": rfc3339(record.updated_at),
        "attempts": msgspec.to_builtins(record.attempts),
        "last_error": record.last_error,
        "next_attempt_at": None if next_at is None else rfc3339(next_at),
        "stream": record.stream,
        "sequence": record.seq,
        "run": record.run,
    }
