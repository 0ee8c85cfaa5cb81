"""Answers about streams and their subscribers."""

from typing import Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Duration, Json, Manager, Time, Warned


class StreamDefinitionAnswer(TypedDict):
    """A named stream as it is registered."""

    name: str
    subjects: list[str]
    retention: Duration | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    compression: str
    replicas: int | None
    managed_by: Manager
    created_at: Time


class ChangedStream(StreamDefinitionAnswer):
    """A stream after a change."""

    warnings: list[Warned]


class StreamContents(TypedDict):
    """What a stream holds."""

    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    first_time: Time | None


class StreamAnswer(StreamDefinitionAnswer):
    """A stream, and what it holds; with ``rates``, what it receives, in messages a second."""

    state: StreamContents
    rate: NotRequired[float]


_From = TypedDict("_From", {"from": Json})


class SubscriptionAnswer(_From):
    """A live subscription. ``since``: when it began; ``from``: where, as the client asked.

    ``key``: the id of the key or token that opened it; null in a process of a former version.
    """

    id: str
    stream: str | None
    subjects: list[str]
    principal: str
    method: str | None
    key: str | None
    since: Time
    durable: str | None
    position: int
    lag: int | None
    lagging: bool
    sent: int
    process: str


class Subscribers(TypedDict):
    """Subscribers of a stream. ``complete`` is false if a process did not answer."""

    count: int
    complete: bool
    items: list[SubscriptionAnswer]


class StreamOutline(TypedDict):
    """A stream as a caller sees it that is narrowed to namespaces, types or streams."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    name: str
    subjects: list[str]


class WholeStream(StreamAnswer):
    """A stream, what it holds, its rate in messages a second, and its first subscribers."""

    subscribers: Subscribers


class StreamMessage(TypedDict):
    """An event at its position in a stream."""

    seq: int
    time: Time
    event: CloudEvent


class Missed(TypedDict):
    """Sequences that the stream does not have any more."""

    first: int
    last: int
    code: NotRequired[Literal["stream_recreated"]]


class StreamMessages(TypedDict):
    """Events of a stream, in order."""

    items: list[StreamMessage]
    next: str | None
    total: int | None
    total_is_estimate: bool
    missed: NotRequired[Missed]


class SubscriptionPage(TypedDict):
    """Live subscriptions. ``complete`` is false if a process did not answer."""

    items: list[SubscriptionAnswer]
    next: str | None
    total: int | None
    total_is_estimate: bool
    complete: bool
