"""The types of bodies and answers of several tags.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

__all__ = [
    "CloudEvent",
    "FailedCondition",
    "HoldAnswer",
    "Page",
    "PreviewedRequest",
    "ReplayAnswer",
    "SealedSecret",
    "SecretAnswer",
    "Warned",
]


Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """A page of a list. ``next`` is the cursor of the page that follows, None after the last.
    ``total``: how many items all pages have, or at most have, where ``total_is_estimate``; None
    where the caller may not learn it."""

    items: list[Item]
    next: str | None
    total: int | None
    total_is_estimate: bool


class CloudEvent(TypedDict):
    """A CloudEvent 1.0 in the JSON format; any other member is an extension attribute, whose
    name consists of lower-case letters and digits."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: NotRequired[str]
    time: NotRequired[str]
    datacontenttype: NotRequired[str]
    dataschema: NotRequired[str]
    data: NotRequired[Any]
    data_base64: NotRequired[str]


class FailedCondition(TypedDict):
    """The first condition of a webhook that does not hold of an event."""

    condition: str
    detail: str


class HoldAnswer(TypedDict):
    """A legal hold on a stream."""

    id: str
    reason: str
    placed_at: str
    placed_by: str


class PreviewedRequest(TypedDict):
    """The request that the gateway would send."""

    transformation: str | None
    method: str
    url: str | None
    headers: dict[str, str]
    authentication: list[str]
    content_type: str | None
    bytes: int
    body: NotRequired[Any]
    body_base64: NotRequired[str]


class ReplayAnswer(TypedDict):
    """A replay and its progress, `progress` from 0 to 1."""

    id: str
    of: Literal["log", "dead_letters"]
    webhook: str | None
    stream: str | None
    types: list[str]
    reason: str | None
    since: str | None
    until: str | None
    from_seq: int
    until_seq: int
    dry_run: bool
    created_at: str
    state: Literal["running", "paused", "cancelled", "done", "failed"]
    progress: float
    position: int | None
    looked_at: int | None
    matched: int
    queued: int
    skipped: int
    error: str | None
    updated_at: str | None
    ended_at: str | None


class SealedSecret(TypedDict):
    """A secret in the sealed store. `former_until`: when values that were replaced end."""

    updated_at: str
    key_id: str
    readable: bool
    former_until: list[str]


_SecretAnswer = TypedDict(
    "_SecretAnswer", {"from": "Literal['environment', 'file', 'sealed'] | None"}
)


class SecretAnswer(_SecretAnswer):
    """A secret without its value. `from`: where the value in use comes from; `used_by`: ids of
    webhooks; `used_by_sources`: names of sources, for callers that are not narrowed."""

    name: str
    namespaces: list[str]
    sealed: SealedSecret | None
    used_by: list[str]
    used_by_sources: list[str]


class Warned(TypedDict):
    """A warning: something in a definition will not work as its owner may expect. `detail`
    begins with the key of the definition."""

    code: str
    detail: str
