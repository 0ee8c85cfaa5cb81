"""Answers about changes of many webhooks or deliveries."""

from typing import Literal

from typing_extensions import TypedDict


class FailedWebhook(TypedDict):
    """A webhook that was not changed, and why."""

    id: str
    detail: str


class BulkWebhooks(TypedDict):
    """The result of a change of many webhooks. ``matched``: how many webhooks the request selects;
    ``changed``: the ids of those that were changed, or with ``dry_run`` would be; ``unchanged``:
    how many had the requested state already."""

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
    """The result of a change of many deliveries. ``failed_omitted``: how many failures beyond the
    first hundred; ``next``: repeat the request with it as ``cursor`` to go on."""

    action: Literal["retry", "cancel"]
    webhook: str
    dry_run: bool
    matched: int
    changed: int
    failed: list[FailedDelivery]
    failed_omitted: int
    next: str | None
