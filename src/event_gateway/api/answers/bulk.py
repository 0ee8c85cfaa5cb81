"""Answers about changes of many webhooks or deliveries."""

from typing import Literal

from typing_extensions import TypedDict


class FailedWebhook(TypedDict):
    """A webhook that was not changed, and why."""

    id: str
    detail: str


class BulkWebhooks(TypedDict):
    """What became of the webhooks that were meant. ``changed``: those that were changed, or would
    be; ``unchanged``: how many are so already."""

    action: Literal["enable", "disable"]
    dry_run: bool
    matched: int
    changed: list[str]
    unchanged: int
    failed: list[FailedWebhook]


class FailedDelivery(TypedDict):
    """A delivery that was not changed, and why."""

    event_id: str
    source: str
    detail: str


class BulkDeliveries(TypedDict):
    """What became of the deliveries that were meant. ``failed_omitted``: failures beyond the first
    hundred; ``next``: repeat the request with it as ``cursor`` to go on."""

    action: Literal["retry", "cancel"]
    webhook: str
    dry_run: bool
    matched: int
    changed: int
    failed: list[FailedDelivery]
    failed_omitted: int
    next: str | None
