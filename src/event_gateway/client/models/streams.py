"""The types of bodies and answers of the tag `streams`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent, HoldAnswer, Warned

__all__ = [
    "ChangeStreamBody",
    "ChangedStream",
    "CreateStreamBody",
    "CreateTokenBody",
    "Missed",
    "NewToken",
    "StreamAnswer",
    "StreamContents",
    "StreamMessage",
    "StreamMessages",
    "StreamOutline",
    "Subscribers",
    "SubscriptionAnswer",
    "SubscriptionPage",
    "TokenAnswer",
    "TokenIssuer",
    "WholeStream",
]


class ChangeStreamBody(TypedDict):
    """A stream of the API: as in the configuration, with its name."""

    subjects: NotRequired[list[str] | None]
    retention: NotRequired[str | None]
    max_messages: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    compliance: NotRequired[bool | None]
    sealed_by: NotRequired[str | None]
    compression: NotRequired[Literal["s2", "none"] | None]
    replicas: NotRequired[int | None]
    name: NotRequired[str | None]
    managed_by: NotRequired[Any | None]
    owner: NotRequired[Any | None]
    created_at: NotRequired[Any | None]
    state: NotRequired[Any | None]
    disabled: NotRequired[Any | None]
    verification: NotRequired[Any | None]
    expression_errors: NotRequired[Any | None]
    rate: NotRequired[Any | None]
    subscribers: NotRequired[Any | None]
    warnings: NotRequired[Any | None]
    holds: NotRequired[Any | None]
    in_force: NotRequired[Any | None]
    secret_state: NotRequired[Any | None]
    requests: NotRequired[Any | None]


class ChangedStream(TypedDict):
    """A stream after a change."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    holds: list[HoldAnswer]
    sealed_by: str | None
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    warnings: list[Warned]


class CreateStreamBody(TypedDict):
    """A stream of the API: as in the configuration, with its name."""

    subjects: list[str]
    retention: NotRequired[str | None]
    max_messages: NotRequired[int | None]
    max_bytes: NotRequired[int | str | None]
    compliance: NotRequired[bool]
    sealed_by: NotRequired[str | None]
    compression: NotRequired[Literal["s2", "none"]]
    replicas: NotRequired[int | None]
    name: str
    managed_by: NotRequired[Any]
    owner: NotRequired[Any]
    created_at: NotRequired[Any]
    state: NotRequired[Any]
    disabled: NotRequired[Any]
    verification: NotRequired[Any]
    expression_errors: NotRequired[Any]
    rate: NotRequired[Any]
    subscribers: NotRequired[Any]
    warnings: NotRequired[Any]
    holds: NotRequired[Any]
    in_force: NotRequired[Any]
    secret_state: NotRequired[Any]
    requests: NotRequired[Any]


class CreateTokenBody(TypedDict):
    """CreateTokenBody."""

    streams: NotRequired[list[str]]
    subjects: NotRequired[list[str]]
    namespaces: NotRequired[list[str] | None]
    types: NotRequired[list[str] | None]
    expires_in: NotRequired[str]
    principal: NotRequired[str]


class Missed(TypedDict):
    """Sequences that the stream does not have any more."""

    first: int
    last: int
    code: NotRequired[Literal["stream_recreated"]]


class NewToken(TypedDict):
    """A token with its text, which is shown this once."""

    id: str
    principal: str
    streams: list[str]
    subjects: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    issued_by: TokenIssuer
    expires_at: str
    token: str
    warnings: list[Warned]


class StreamAnswer(TypedDict):
    """A stream, and what it holds; with `rates`, what it receives, in messages a second."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    holds: list[HoldAnswer]
    sealed_by: str | None
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    state: StreamContents
    rate: NotRequired[float]


class StreamContents(TypedDict):
    """What a stream holds."""

    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    first_time: str | None


class StreamMessage(TypedDict):
    """An event at its position in a stream."""

    seq: int
    time: str
    event: CloudEvent


class StreamMessages(TypedDict):
    """Events of a stream, in order."""

    items: list[StreamMessage]
    next: str | None
    total: int | None
    total_is_estimate: bool
    missed: NotRequired[Missed]


class StreamOutline(TypedDict):
    """A stream as a caller sees it that is narrowed to namespaces, types or streams."""

    name: str
    subjects: list[str]


class Subscribers(TypedDict):
    """Subscribers of a stream. `complete` is false if a process did not answer."""

    count: int
    complete: bool
    items: list[SubscriptionAnswer]


_SubscriptionAnswer = TypedDict("_SubscriptionAnswer", {"from": "Any"})


class SubscriptionAnswer(_SubscriptionAnswer):
    """A live subscription. `since`: when it began; `from`: where, as the client asked."""

    id: str
    stream: str | None
    subjects: list[str]
    principal: str
    method: str | None
    key: str | None
    since: str
    durable: str | None
    position: int
    lag: int | None
    lagging: bool
    sent: int
    process: str


class SubscriptionPage(TypedDict):
    """Live subscriptions. `complete` is false if a process did not answer."""

    items: list[SubscriptionAnswer]
    next: str | None
    total: int | None
    total_is_estimate: bool
    complete: bool


class TokenAnswer(TypedDict):
    """A token for a browser, without its text."""

    id: str
    principal: str
    streams: list[str]
    subjects: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    issued_by: TokenIssuer
    expires_at: str


class TokenIssuer(TypedDict):
    """The key that issued a token: its id and its name."""

    method: str
    key: str
    name: str


class WholeStream(TypedDict):
    """A stream, what it holds, its rate in messages a second, and its first subscribers."""

    name: str
    subjects: list[str]
    retention: str | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    holds: list[HoldAnswer]
    sealed_by: str | None
    compression: str
    replicas: int | None
    managed_by: str
    created_at: str
    state: StreamContents
    rate: NotRequired[float]
    subscribers: Subscribers
