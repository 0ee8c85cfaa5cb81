"""Answers about deliveries, dead letters, replays and rejected input."""

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Json, Time
from event_gateway.api.openapi.described import StructSchema
from event_gateway.core.webhook.delivery import Attempt, Status

AttemptAnswer = Annotated[dict[str, object], StructSchema(Attempt)]


class DeliveryState(TypedDict):
    """The state of a delivery."""

    webhook_id: str
    event_id: str
    source: str
    status: Status
    updated_at: Time
    last_error: str | None
    next_attempt_at: Time | None
    stream: str
    sequence: int
    run: int
    repeats: str | None


class ListedDelivery(DeliveryState):
    """A delivery in a list. ``attempts`` counts them."""

    attempts: int


class DeliveryAnswer(DeliveryState):
    """A delivery with its attempts, and the id of its latest dead letter."""

    attempts: list[AttemptAnswer]
    dead_letter: int | None


class DeadLetterState(TypedDict):
    """A delivery that failed for good."""

    id: int
    time: Time
    webhook_id: str
    url: str
    reason: str
    event_id: str
    event_type: str
    source: str
    last_error: str | None
    stream: str
    sequence: int
    run: int
    replayed_at: Time | None


class ListedDeadLetter(DeadLetterState):
    """A dead letter in a list. ``attempts`` counts them."""

    attempts: int


class DeadLetterAnswer(DeadLetterState):
    """A dead letter with its event, all attempts, and the webhook as it was then."""

    attempts: list[AttemptAnswer]
    webhook: Json
    event: CloudEvent


class Purged(TypedDict):
    """How many dead letters were deleted, or would be. ``next``: repeat the request with it."""

    purged: int
    dry_run: bool
    next: str | None


class ReplayAnswer(TypedDict):
    """A replay and its progress, ``progress`` from 0 to 1."""

    id: str
    of: Literal["log", "dead_letters"]
    webhook: str | None
    stream: str | None
    types: list[str]
    reason: str | None
    since: Time | None
    until: Time | None
    from_seq: int
    until_seq: int
    dry_run: bool
    created_at: Time
    state: Literal["running", "paused", "cancelled", "done", "failed"]
    progress: float
    position: int | None
    looked_at: int | None
    matched: int
    queued: int
    skipped: int
    error: str | None
    updated_at: Time | None
    ended_at: Time | None


class RejectedAnswer(TypedDict):
    """Input that is no valid event, with its original bytes in ``data`` or ``data_base64``.

    ``source``: the inbound source that has refused it; null: it is a message of the NATS subject
    ``subject``, at ``sequence`` of ``stream``. ``cut``: it was too large to be kept whole; the size
    of its body in bytes."""

    seq: int
    time: Time
    reason: str
    detail: str
    path: str | None
    source: str | None
    subject: str
    stream: str
    sequence: int
    headers: Json
    cut: int | None
    data: NotRequired[str]
    data_base64: NotRequired[str]


class Taken(TypedDict):
    """The sequence at which the log now has the input."""

    sequence: int


class Reread(TypedDict):
    """The streams whose events are read again."""

    streams: list[str]
