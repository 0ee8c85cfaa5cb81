"""The types of bodies and answers of the tag `event types`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "AsyncApi",
    "ChangeEventTypeBody",
    "CreateEventTypeBody",
    "EventTypeAnswer",
    "Imported",
    "PutEventTypeBody",
    "SkippedMessage",
]


class AsyncApi(TypedDict):
    """An AsyncAPI 3.0 document."""

    asyncapi: str
    info: Any
    channels: Any
    operations: Any


class ChangeEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: NotRequired[str | None]
    description: NotRequired[str | None]
    owner: NotRequired[str | None]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any | None]
    examples: NotRequired[list[Any] | None]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class CreateEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: str
    description: NotRequired[str]
    owner: NotRequired[str]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any]
    examples: NotRequired[list[Any]]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class EventTypeAnswer(TypedDict):
    """An event type. `in_force`: what the gateway does with events that violate its schema."""

    type: str
    description: str
    owner: str
    dataschema: str | None
    schema: NotRequired[Any]
    examples: list[Any]
    enforce: str | None
    in_force: Literal["off", "warn", "reject"]
    managed_by: str
    created_at: str | None
    updated_at: str | None


class Imported(TypedDict):
    """The names of the event types in a document."""

    dry_run: bool
    created: list[str]
    changed: list[str]
    unchanged: list[str]
    skipped: list[SkippedMessage]
    skipped_omitted: int


class PutEventTypeBody(TypedDict):
    """An event type in a request. The last four members are those of an answer, so that an
    answer can be changed and sent back; the gateway ignores them."""

    type: NotRequired[str]
    description: NotRequired[str]
    owner: NotRequired[str]
    dataschema: NotRequired[str | None]
    schema: NotRequired[Any]
    examples: NotRequired[list[Any]]
    enforce: NotRequired[str | None]
    in_force: NotRequired[str | None]
    managed_by: NotRequired[str | None]
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class SkippedMessage(TypedDict):
    """A message of a document that is not registered."""

    place: str
    reason: str
