"""The body of a request for a browser's token."""

import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from event_gateway.config.access_values import CallerName
from event_gateway.config.key_model import Namespaces, Types
from event_gateway.config.request_bodies import InvalidBody, validated
from event_gateway.config.values import Duration, Section
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, includes

MAX_LIFETIME = 3600.0  # seconds
MAX_ITEMS = 64  # streams, and subjects


def _check_lifetime(value: float) -> float:
    if not 1 <= value <= MAX_LIFETIME:
        raise ValueError("must be between 1s and 1h")
    return value


class TokenBody(Section):
    streams: list[str] = Field([], max_length=MAX_ITEMS)
    subjects: list[str] = Field([], max_length=MAX_ITEMS)
    namespaces: Namespaces | None = Field(None, min_length=1, max_length=MAX_ITEMS)
    types: Types | None = Field(None, min_length=1, max_length=MAX_ITEMS)
    expires_in: Annotated[Duration, AfterValidator(_check_lifetime)] = 300.0
    principal: CallerName = "browser"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What the requested token opens, and its lifetime in seconds."""

    name: str
    streams: tuple[str, ...]
    subjects: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    types: tuple[str, ...] | None
    lifetime: float


class Exceeds(Exception):
    """The token would open what its issuer may not read; the text says what."""


def token_from_json(body: object, streams: Collection[str], issuer: Principal) -> TokenRequest:
    """The token request in a body, narrowed as its issuer is. ``streams``: those that it sees.

    Raises InvalidBody, also for other streams, and Exceeds.
    """
    model = validated(TokenBody, "tokens", body)
    if not model.streams and not model.subjects:
        raise InvalidBody([("streams", "a token needs at least one stream or subject")])
    # An issuer that may not read a stream is not told whether it exists.
    for name in model.streams:
        if not issuer.may_read(name):
            raise Exceeds(f"streams: {name[:64]}")
    problems = [
        (f"streams.{at}", f"there is no stream {name[:64]}")
        for at, name in enumerate(model.streams)
        if name not in streams
    ]
    for at, pattern in enumerate(model.subjects):
        try:
            check_pattern(pattern, f"subjects.{at}")
        except InvalidDefinition as error:
            problems.append((error.key, error.detail))
    if problems:
        raise InvalidBody(problems)
    for pattern in model.subjects:
        if not issuer.may_listen([pattern]):
            raise Exceeds(f"subjects: {pattern}")
    return TokenRequest(
        name=model.principal, streams=tuple(model.streams), subjects=tuple(model.subjects),
        namespaces=_narrowed("namespaces", model.namespaces, issuer.namespaces, operator.eq),
        types=_narrowed("types", model.types, issuer.types, includes),
        lifetime=model.expires_in,
    )  # fmt: skip


def _narrowed(
    key: str,
    asked: list[str] | None,
    allowed: tuple[str, ...] | None,
    allows: Callable[[str, str], bool],
) -> tuple[str, ...] | None:
    """What narrows the token. Raises Exceeds."""
    if asked is None:
        return allowed
    for item in asked:
        if allowed is not None and not any(allows(wide, item) for wide in allowed):
            raise Exceeds(f"{key}: {item}")
    return tuple(dict.fromkeys(asked))
