"""The body of a request for a browser's token."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from event_gateway.config.request_bodies import InvalidBody, validated
from event_gateway.config.values import Duration, Section
from event_gateway.core.access.principal import OPERATOR, Principal, subscriber
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern

MAX_LIFETIME = 3600.0  # seconds
MAX_ITEMS = 64  # streams, and subjects


def _check_lifetime(value: float) -> float:
    if not 1 <= value <= MAX_LIFETIME:
        raise ValueError("must be between 1s and 1h")
    return value


class TokenBody(Section):
    streams: list[str] = Field([], max_length=MAX_ITEMS)
    subjects: list[str] = Field([], max_length=MAX_ITEMS)
    expires_in: Annotated[Duration, AfterValidator(_check_lifetime)] = 300.0
    principal: Annotated[str, Field(pattern="^[A-Za-z0-9_.@:-]{1,64}$")] = "browser"


@dataclass(frozen=True)
class TokenRequest:
    """The principal of the requested token, and its lifetime in seconds."""

    principal: Principal
    lifetime: float


def token_from_json(body: object, streams: frozenset[str]) -> TokenRequest:
    """The token request in a body. Raises InvalidBody, also for streams not in ``streams``."""
    model = validated(TokenBody, "tokens", body)
    if not model.streams and not model.subjects:
        raise InvalidBody([("streams", "a token needs at least one stream or subject")])
    if model.principal == OPERATOR.name:
        raise InvalidBody([("principal", f"{OPERATOR.name} is the name of the admin key")])
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
    return TokenRequest(
        subscriber(model.principal, tuple(model.streams), tuple(model.subjects)), model.expires_in
    )
