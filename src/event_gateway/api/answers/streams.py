"""Answers about streams and their subscribers."""

from typing import Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Duration, Json, Manager, Time, Warned


class HoldAnswer(TypedDict):
    """A legal hold on a stream."""

    id: str
    reason: str
    placed_at: Time
    placed_by: str


class StreamDefinitionAnswer(TypedDict):
    """A named stream as it is registered."""

    name: str
    subjects: list[str]
    retention: Duration | None
    max_messages: int | None
    max_bytes: int | None
    compliance: bool
    holds: list[HoldAnswer]
    sealed_by: str | None
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


class AnchorAnswer(TypedDict):
    """A signed statement of how far the chain of a stream went, and which link it had there.

    ``signature``: ed25519, of the bytes of ``statement``, in base64; ``digest``: the SHA-256 of the
    statement, in hexadecimal.
    """

    stream: str
    sequence: int
    link: str
    time: Time
    statement: str
    signature: str
    public_key: str
    digest: str


class AppendOnly(TypedDict):
    """Whether a compliance stream can only grow, as far as the gateway's own user may tell.

    ``allowed``: subjects of the JetStream API that would change or empty the stream, on which this
    user may publish; ``settings``: what is wrong with the settings of the JetStream streams.
    """

    holds: bool
    allowed: list[str]
    settings: list[str]


class ChainAnswer(TypedDict):
    """How far the hash chain of a compliance stream is. ``lag``: messages that have no record yet;
    ``public_key``: that of the next anchors, null if there is no key."""

    stream: str
    last_seq: int
    chained_to: int
    lag: int
    link: str | None
    problem: str | None
    anchor: AnchorAnswer | None
    public_key: str | None
    append_only: AppendOnly


class StampAnswer(TypedDict):
    """What somebody outside confirms of an anchor; ``value`` in base64, as its issuer made it."""

    sequence: int
    kind: str
    value: str
    time: Time


class Redaction(TypedDict):
    """Whether the data about a person was redacted; false if there was no key of that person."""

    stream: str
    erased: bool
    erased_at: Time | None


class OpenedEvent(TypedDict):
    """An event of a compliance stream as it was published; ``redacted``: without its data."""

    seq: int
    time: Time
    redacted: bool
    event: CloudEvent


class Stamps(TypedDict):
    """The stamps of an anchor."""

    items: list[StampAnswer]


class Holds(TypedDict):
    """The legal holds on a stream."""

    items: list[HoldAnswer]


class SubscriptionPage(TypedDict):
    """Live subscriptions. ``complete`` is false if a process did not answer."""

    items: list[SubscriptionAnswer]
    next: str | None
    total: int | None
    total_is_estimate: bool
    complete: bool
