"""The types of bodies and answers of the tag `events`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent

__all__ = [
    "Accepted",
    "AcceptedEvent",
    "EventAnswer",
    "ListedEvent",
    "MessageOfEvent",
    "PlaceOfEvent",
    "RelatedEvent",
    "RequestOfAttempt",
    "ResendEventBody",
    "ResentDelivery",
    "ResentEvent",
    "StreamOfEvent",
    "Unknown",
    "WaitAnswer",
    "WebhookOfEvent",
]


class Accepted(TypedDict):
    """Events that the log has confirmed."""

    accepted: int
    duplicates: int
    items: list[AcceptedEvent]


class AcceptedEvent(TypedDict):
    """An event in the log. `duplicate`: it was there already."""

    id: str
    sequence: int
    duplicate: bool


class EventAnswer(TypedDict):
    """An event, where it is, and what became of it. `event` is null where only deliveries of
    it are known. `next`: further webhooks; `total`: how many there are on all pages,
    matched or not, null where the caller may not see them."""

    event: CloudEvent | None
    source: str
    stream: str
    sequence: int
    received_at: str | None
    origin: str | None
    message: MessageOfEvent | None
    routed: bool
    repeats: list[PlaceOfEvent]
    others: list[PlaceOfEvent]
    webhooks: list[WebhookOfEvent]
    matched_count: int
    total: int | None
    next: str | None
    streams: list[StreamOfEvent]
    causes: list[RelatedEvent]
    effects: list[RelatedEvent]
    unknown: list[Unknown]


class ListedEvent(TypedDict):
    """An event in a list."""

    event: CloudEvent
    source: str
    stream: str
    sequence: int
    received_at: str
    origin: str


class MessageOfEvent(TypedDict):
    """The message as it came in: its NATS subject, its headers, the bytes of its body."""

    subject: str
    headers: dict[str, str]
    bytes: int


class PlaceOfEvent(TypedDict):
    """A place of an event in the log."""

    source: str
    stream: str
    sequence: int
    received_at: str


class RelatedEvent(TypedDict):
    """A cause or an effect of an event; `by` is the attribute that says so."""

    id: str
    source: str
    type: str
    stream: str
    sequence: int
    received_at: str
    by: str


class RequestOfAttempt(TypedDict):
    """An attempt, and its request. The gateway stores no requests: it builds this one again,
    from the event and the present definition of the webhook. `differs` says in what it may
    differ from the request that was sent."""

    attempt: dict[str, Any]
    request: Any
    differs: list[str]


class ResendEventBody(TypedDict):
    """ResendEventBody."""

    source: NotRequired[str | None]
    webhooks: NotRequired[list[str] | None]
    dry_run: NotRequired[bool]


class ResentDelivery(TypedDict):
    """The result of a resend for one webhook."""

    webhook_id: str
    result: Literal["queued", "waiting", "newer", "done"]
    detail: str | None


class ResentEvent(TypedDict):
    """An event that is sent once more, or would be."""

    event_id: str
    source: str
    dry_run: bool
    queued: int
    items: list[ResentDelivery]


class StreamOfEvent(TypedDict):
    """A named stream that takes the event's subject; `sequence` null where it has no copy."""

    name: str
    sequence: int | None
    reason: str | None


class Unknown(TypedDict):
    """A part of the answer that the gateway does not know, and the reason."""

    what: str
    why: str


class WaitAnswer(TypedDict):
    """A reason why a delivery has not ended; `until` where a time is known."""

    reason: str
    detail: str
    until: str | None


class WebhookOfEvent(TypedDict):
    """What became of an event at a webhook: its delivery, or in `reason` the first condition
    that does not hold."""

    id: str
    matched: bool
    state: str
    reason: NotRequired[str]
    status: NotRequired[str | None]
    attempts: NotRequired[int]
    max_attempts: NotRequired[int]
    run: NotRequired[int]
    repeats: NotRequired[str | None]
    updated_at: NotRequired[str]
    next_attempt_at: NotRequired[str | None]
    last_error: NotRequired[str | None]
    not_retried: NotRequired[str | None]
    dead_letter: NotRequired[int | None]
    waits: NotRequired[list[WaitAnswer]]
    unknown: NotRequired[str | None]
    requests: NotRequired[list[RequestOfAttempt]]
