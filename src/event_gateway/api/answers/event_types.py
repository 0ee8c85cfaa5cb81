"""Answers about event types, and the catalog as an AsyncAPI document."""

from typing import Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from event_gateway.api.answers.common import Json, Time


class EventTypeAnswer(TypedDict):
    """An event type. ``in_force``: what the gateway does with events that violate its schema."""

    type: str
    description: str
    owner: str
    dataschema: str | None
    schema: NotRequired[Json]
    examples: list[Json]
    enforce: str | None
    in_force: Literal["off", "warn", "reject"]
    managed_by: str
    created_at: Time | None
    updated_at: Time | None


class SkippedMessage(TypedDict):
    """A message of a document that is not registered."""

    place: str
    reason: str


class Imported(TypedDict):
    """The names of the event types in a document."""

    dry_run: bool
    created: list[str]
    changed: list[str]
    unchanged: list[str]
    skipped: list[SkippedMessage]
    skipped_omitted: int


class AsyncApi(TypedDict):
    """An AsyncAPI 3.0 document."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    asyncapi: str
    info: Json
    channels: Json
    operations: Json
