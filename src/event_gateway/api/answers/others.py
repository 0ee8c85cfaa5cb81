"""Answers about events, event types and secrets."""

from typing import Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from event_gateway.api.answers.common import Json, Time


class AcceptedEvent(TypedDict):
    """An event in the log. ``duplicate``: it was there already."""

    id: str
    sequence: int
    duplicate: bool


class Accepted(TypedDict):
    """Events that the log has confirmed."""

    accepted: int
    duplicates: int
    items: list[AcceptedEvent]


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


class SealedSecret(TypedDict):
    """A secret in the sealed store. ``former_until``: when values that were replaced end."""

    updated_at: Time
    key_id: str
    readable: bool
    former_until: list[Time]


_From = TypedDict("_From", {"from": Literal["environment", "file", "sealed"] | None})


class SecretAnswer(_From):
    """A secret without its value. ``from``: where the value in use comes from."""

    name: str
    namespaces: list[str]
    sealed: SealedSecret | None
    used_by: list[str]


class Resealed(TypedDict):
    """How many secrets, and keys of people whom events are about, were sealed again."""

    resealed: int
    subject_keys: int


class JsonWebKey(TypedDict):
    """A public key (RFC 8037); ``whpk`` is the key as Standard Webhooks writes it."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str
    whpk: str


class JsonWebKeys(TypedDict):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[JsonWebKey]


class AsyncApi(TypedDict):
    """An AsyncAPI 3.0 document."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    asyncapi: str
    info: Json
    channels: Json
    operations: Json
