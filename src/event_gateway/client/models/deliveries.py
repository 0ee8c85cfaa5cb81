"""The types of bodies and answers of the tag `deliveries`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "BulkDeliveries",
    "ChangeDeliveriesBody",
    "DeliveryAnswer",
    "DeliveryStatus",
    "FailedDelivery",
    "ListedDelivery",
]


class BulkDeliveries(TypedDict):
    """The result of a change of many deliveries. `failed_omitted`: how many failures beyond
    the first hundred; `next`: repeat the request with it as `cursor` to go on."""

    action: Literal["retry", "cancel"]
    webhook: str
    dry_run: bool
    matched: int
    changed: int
    failed: list[FailedDelivery]
    failed_omitted: int
    next: str | None


class ChangeDeliveriesBody(TypedDict):
    """ChangeDeliveriesBody."""

    action: Literal["cancel", "retry"]
    webhook: str
    status: NotRequired[
        list[
            Literal[
                "cancelled",
                "dead_letter",
                "failed",
                "in_progress",
                "pending",
                "retrying",
                "succeeded",
            ]
        ]
        | None
    ]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    limit: NotRequired[int]
    cursor: NotRequired[str | None]
    dry_run: NotRequired[bool]


class DeliveryAnswer(TypedDict):
    """A delivery with its attempts, and the id of its latest dead letter."""

    webhook_id: str
    event_id: str
    source: str
    status: DeliveryStatus
    updated_at: str
    last_error: str | None
    next_attempt_at: str | None
    stream: str
    sequence: int
    run: int
    repeats: str | None
    attempts: list[dict[str, Any]]
    dead_letter: int | None


DeliveryStatus = Literal[
    "pending", "in_progress", "retrying", "failed", "succeeded", "dead_letter", "cancelled"
]


class FailedDelivery(TypedDict):
    """A delivery that was not changed, and why."""

    event_id: str
    source: str
    detail: str


class ListedDelivery(TypedDict):
    """A delivery in a list. `attempts` counts them."""

    webhook_id: str
    event_id: str
    source: str
    status: DeliveryStatus
    updated_at: str
    last_error: str | None
    next_attempt_at: str | None
    stream: str
    sequence: int
    run: int
    repeats: str | None
    attempts: int
