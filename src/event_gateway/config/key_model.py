"""The bodies of requests that create or change an API key."""

import time
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from event_gateway.config.access_values import TypePattern, check_caller_name, check_scope
from event_gateway.config.request_bodies import InvalidBody, validated
from event_gateway.config.values import Duration, Section
from event_gateway.core.access.narrowing import check_namespace
from event_gateway.core.access.request_rates import MAX_REQUESTS, MAX_WINDOW, RequestLimit
from event_gateway.core.access.scope import SCOPES
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.times import parse_time

MAX_NAME = 64  # characters
MAX_ITEMS = 64  # of each list that narrows the scopes
DEFAULT_OVERLAP = 86400.0  # seconds for which the former value of a rotated key stays valid


def _name(value: str) -> str:
    if not value or len(value) > MAX_NAME or not value.isprintable() or value != value.strip():
        raise ValueError(f"must be 1 to {MAX_NAME} printable characters without spaces around them")
    return check_caller_name(value)


def _scopes(value: list[str]) -> list[str]:
    for scope in value:
        check_scope(scope)
    return list(dict.fromkeys(value))


def _lifetime(value: float) -> float:
    if value < 1:
        raise ValueError("must be at least 1s: the key would be expired already")
    return value


def _stream(value: str) -> str:
    if ID.fullmatch(value) is None:
        raise ValueError(f"{value[:64]!r} is not of the form of a stream's name, {ID.pattern}")
    return value


_Limit = Field(None, min_length=1, max_length=MAX_ITEMS)
Namespaces = list[Annotated[str, AfterValidator(check_namespace)]]
Types = list[TypePattern]


class RequestLimitModel(Section):
    """How many requests a key may send to each process, in place of `server.limits`."""

    requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = Field(
        description="The number of requests allowed in each period."
    )
    per: Annotated[Duration, Field(ge=1, le=MAX_WINDOW)] = Field(
        1.0, description="The length of the period."
    )


class _Limits(Section):
    namespaces: Namespaces | None = _Limit
    types: Types | None = _Limit
    streams: list[Annotated[str, AfterValidator(_stream)]] | None = _Limit
    expires_in: Annotated[Duration, AfterValidator(_lifetime)] | None = None
    expires_at: str | None = None
    limits: RequestLimitModel | None = None

    @model_validator(mode="after")
    def _one_end(self) -> "_Limits":
        if self.expires_in is not None and self.expires_at is not None:
            raise ValueError("expires_in and expires_at exclude each other")
        return self


_Scopes = Annotated[list[str], AfterValidator(_scopes), Field(min_length=1, max_length=len(SCOPES))]


class KeyBody(_Limits):
    """A new key."""

    name: Annotated[str, AfterValidator(_name)]
    scopes: _Scopes


class KeyPatch(_Limits):
    """What changes of a key."""

    name: Annotated[str, AfterValidator(_name)] = ""
    scopes: _Scopes = Field([])


class KeyRotation(Section):
    """How a key is rotated."""

    overlap: Duration = DEFAULT_OVERLAP


def key_from_json(body: object) -> dict[str, Any]:
    """The values of a new key in a body. Raises InvalidBody."""
    model = validated(KeyBody, "keys", body)
    return _values(model, KeyBody.model_fields.keys())


def key_changes_from_json(body: object) -> dict[str, Any]:
    """The values that a body changes. ``null`` removes what narrows a key, its end or its limit.

    Raises InvalidBody.
    """
    model = validated(KeyPatch, "keys", body)
    return _values(model, model.model_fields_set)


def overlap_from_json(body: object) -> float:
    """For how many seconds the former value of a key stays valid. Raises InvalidBody."""
    return validated(KeyRotation, "keys", body).overlap


def _values(model: KeyBody | KeyPatch, given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("scopes", "namespaces", "types", "streams"):
        if name in given:
            listed = getattr(model, name)
            values[name] = None if listed is None else tuple(dict.fromkeys(listed))
    if "name" in given:
        values["name"] = model.name
    if "limits" in given:
        limits = model.limits
        values["limit"] = None if limits is None else RequestLimit(limits.requests, limits.per)
    if given & {"expires_in", "expires_at"}:
        values["expires_at"] = _end(model)
    return values


def _end(model: KeyBody | KeyPatch) -> float | None:
    """When the key expires, in seconds since the epoch."""
    if model.expires_in is not None:
        return time.time() + model.expires_in
    if model.expires_at is None:
        return None
    try:
        at = parse_time(model.expires_at)
    except ValueError as error:
        raise InvalidBody([("expires_at", str(error))]) from None
    if at <= time.time():
        raise InvalidBody([("expires_at", "is over: the key would be expired already")])
    return at
