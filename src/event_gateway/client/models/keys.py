"""The types of bodies and answers of the tag `keys`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import Warned

__all__ = [
    "CallerAnswer",
    "ChangeKeyBody",
    "ChangedKey",
    "CreateKeyBody",
    "KeyAnswer",
    "NewKey",
    "RequestLimitAnswer",
    "RequestLimitModel",
    "RotateKeyBody",
]


class CallerAnswer(TypedDict):
    """Who the caller is, and what it may do. `namespaces`, `types` and `streams`: what narrows
    its scopes, null where nothing does; `operator`: it may do what concerns the whole
    installation; `version`: the gateway's."""

    name: str
    method: Literal["api_key", "browser_token", "hmac", "jwt", "mtls"]
    id: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    operator: bool
    expires_at: str | None
    version: str


class ChangeKeyBody(TypedDict):
    """What changes of a key."""

    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    streams: NotRequired[list[str] | None]
    expires_in: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    limits: NotRequired[RequestLimitModel | None]
    name: NotRequired[str]
    scopes: NotRequired[list[str]]


class ChangedKey(TypedDict):
    """An API key after a change."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None
    warnings: list[Warned]


class CreateKeyBody(TypedDict):
    """A new key."""

    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    streams: NotRequired[list[str] | None]
    expires_in: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    limits: NotRequired[RequestLimitModel | None]
    name: str
    scopes: list[str]


class KeyAnswer(TypedDict):
    """An API key, without its value. `file`: where the admin key is."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None


class NewKey(TypedDict):
    """An API key with its value, which is shown this once."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    managed_by: Literal["api", "file"]
    file: str | None
    warnings: list[Warned]
    key: str


class RequestLimitAnswer(TypedDict):
    """How many requests a key may send to a process."""

    requests: int
    per: str


class RequestLimitModel(TypedDict):
    """How many requests a key may send to each process, in place of `server.limits`."""

    requests: int
    per: NotRequired[str]


class RotateKeyBody(TypedDict):
    """How a key is rotated."""

    overlap: NotRequired[str]
