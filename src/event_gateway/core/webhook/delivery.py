"""A delivery of one event to one webhook, its attempts, and what to do after each."""

import math
from enum import StrEnum

import msgspec

from event_gateway.core.errors import ErrorType
from event_gateway.core.webhook.retry_policy import RetryPolicy


class Status(StrEnum):
    """The states of a delivery."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    RETRYING = "retrying"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    DEAD_LETTER = "dead_letter"
    CANCELLED = "cancelled"


FINAL = frozenset((Status.SUCCEEDED, Status.DEAD_LETTER, Status.CANCELLED))


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try: when it began (RFC 3339), how long it took, how it ended, when the next is due.

    ``response`` and ``response_headers`` are the beginning of what a receiver said that did not
    take the event.
    """

    number: int
    time: str
    duration_ms: int
    status_code: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    response: str | None = None
    response_headers: dict[str, str] | None = None
    next_attempt_at: str | None = None


class Delivery(msgspec.Struct):
    """One event on its way to one webhook.

    ``source`` and ``event_id`` are the event's identity, ``stream`` and ``seq`` its place in the
    log. ``run`` counts explicit repetitions. ``token`` names who holds the delivery now.
    ``held_until`` is the end of that hold on this process' monotonic clock, in seconds.
    ``probe``: it is the one that finds out whether the receiver is back. ``event_at`` is when its
    event came into the log, or from when a repetition's time runs, in seconds since the epoch.
    ``repeats`` names what asked for the repetition. ``letter`` is the place of its latest dead
    letter, 0 where there is none. ``latest``: when it ends at the latest, whatever its webhook
    says, as what it repeats is dropped then, in seconds since the epoch.
    """

    webhook_id: str
    event_id: str
    source: str
    stream: str
    seq: int
    token: str
    run: int = 1
    attempts: list[Attempt] = []
    failed: bool = False
    held_until: float = 0.0
    probe: bool = False
    event_at: float = 0.0
    repeats: str = ""
    letter: int = 0
    latest: float = math.inf


class Succeeded(msgspec.Struct, frozen=True):
    """The receiver took it."""


class Retry(msgspec.Struct, frozen=True):
    """It is tried again after ``delay`` seconds."""

    delay: float


class DeadLetter(msgspec.Struct, frozen=True):
    """It will not be tried again by itself; the event is kept with the reason."""

    reason: str


class Cancelled(msgspec.Struct, frozen=True):
    """Nobody wants it any more."""

    reason: str


Outcome = Succeeded | Retry | DeadLetter | Cancelled


def error_for_status(status: int) -> ErrorType | None:
    """What a response status means; None for success (2xx)."""
    if 200 <= status < 300:
        return None
    if status < 400:
        return ErrorType.REDIRECT
    return ErrorType.CLIENT_ERROR if status < 500 else ErrorType.SERVER_ERROR


GONE = 410  # CloudEvents webhooks 2.2: the receiver is retired and wants nothing more


def decide(
    policy: RetryPolicy,
    attempts: list[Attempt],
    left: float,
    *,
    spread: float = 0.0,
    wanted: float | None = None,
    aborted: bool = False,
) -> Outcome:
    """What follows the last attempt: every failure but 410 is retried until none is left.

    ``left``: seconds until the delivery's deadline, beyond which nothing is tried. ``spread``: a
    random number from 0 to 1 for the jitter. ``wanted``: seconds for which the receiver asks to be
    left alone; kept, but not beyond ``max_delay`` or twice the planned delay. ``aborted``: there
    is to be no further attempt.
    """
    last = attempts[-1]
    if last.error_type is None:
        return Succeeded()
    if aborted or last.status_code == GONE or len(attempts) >= policy.max_attempts:
        return DeadLetter(last.error_type)
    planned = policy.delay(len(attempts))
    delay = planned * (1 + policy.jitter * spread)
    if wanted is not None:
        delay = max(delay, min(wanted, max(policy.max_delay, 2 * planned)))
    return Retry(delay) if delay <= left else DeadLetter(ErrorType.EXPIRED)
