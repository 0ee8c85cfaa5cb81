"""The types of bodies and answers of the tag `dead letters`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent

__all__ = ["DeadLetterAnswer", "ListedDeadLetter", "Purged", "ReplayDeadLettersBody"]


class DeadLetterAnswer(TypedDict):
    """A dead letter with its event, all attempts, and the webhook as it was then."""

    id: int
    time: str
    webhook_id: str
    url: str
    reason: str
    event_id: str
    event_type: str
    source: str
    last_error: str | None
    stream: str
    sequence: int
    run: int
    replayed_at: str | None
    attempts: list[dict[str, Any]]
    webhook: Any
    event: CloudEvent


class ListedDeadLetter(TypedDict):
    """A dead letter in a list. `attempts` counts them."""

    id: int
    time: str
    webhook_id: str
    url: str
    reason: str
    event_id: str
    event_type: str
    source: str
    last_error: str | None
    stream: str
    sequence: int
    run: int
    replayed_at: str | None
    attempts: int


class Purged(TypedDict):
    """How many dead letters were deleted, or would be. `next`: repeat the request with it."""

    purged: int
    dry_run: bool
    next: str | None


class ReplayDeadLettersBody(TypedDict):
    """ReplayDeadLettersBody."""

    ids: NotRequired[list[int] | None]
    webhook: NotRequired[str | None]
    types: NotRequired[list[str]]
    reason: NotRequired[str | None]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    all: NotRequired[bool]
    dry_run: NotRequired[bool]
