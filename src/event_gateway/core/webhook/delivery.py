"""A delivery of one event to one webhook, its attempts, and what to do after each."""

import math
from enum import StrEnum

import msgspec

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.retry_on import not_retried
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
WEBHOOK_DELETED = "webhook deleted"  # the reason for which its deliveries are cancelled


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """When it started (RFC 3339), how long it took, how it ended, when the next attempt is due.

    ``not_retried``: why it is the last attempt of its run, where it failed. ``response`` and
    ``response_headers`` are the beginning of the receiver's response, stored where
    the attempt failed.
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
    not_retried: str | None = None


class Delivery(msgspec.Struct, gc=False):
    """One event on its way to one webhook.

    ``source`` and ``event_id`` are the event's identity, ``stream`` and ``seq`` its position in the
    log. ``token`` is the fencing token of the lease. ``run`` counts the runs: a retry by hand of a
    finished delivery and a replay start a new one; ``run_by`` names which started this one, empty
    for the first run. ``failed``: it is to become a dead letter. ``leased_until``: when the lease
    ends, on this process's monotonic clock, in seconds. ``probe``: its attempt tests the receiver
    for a half-open circuit breaker. ``event_at``: when the event came into the log, or from when
    the time of a new run counts, Unix time. ``dead_letter``: the sequence of its latest dead
    letter, 0 if it has none. ``latest``: when it ends at the latest, whatever the webhook's
    ``max_age``, as the stored event is dropped then, Unix time.
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
    leased_until: float = 0.0
    probe: bool = False
    event_at: float = 0.0
    run_by: str = ""
    dead_letter: int = 0
    latest: float = math.inf


class Succeeded(msgspec.Struct, frozen=True):
    """The receiver answered with a 2xx status."""


class Retry(msgspec.Struct, frozen=True):
    """The next attempt is due in ``delay`` seconds."""

    delay: float


class DeadLetter(msgspec.Struct, frozen=True):
    """It is not retried by the policy; the event is stored as a dead letter with the reason."""

    reason: str
    not_retried: str | None = None  # why there is no other attempt, after one that failed


class Cancelled(msgspec.Struct, frozen=True):
    """It ends without success: the webhook was deleted, or a caller cancelled it."""

    reason: str


Outcome = Succeeded | Retry | DeadLetter | Cancelled


def error_for_status(status: int) -> AttemptErrorType | None:
    """The error type of a response status; None for success (2xx)."""
    if 200 <= status < 300:
        return None
    if status < 400:
        return AttemptErrorType.REDIRECT
    return AttemptErrorType.CLIENT_ERROR if status < 500 else AttemptErrorType.SERVER_ERROR


THROTTLING = frozenset((429, 503))  # with Retry-After: no request of the webhook before that
GONE = 410  # CloudEvents webhooks 2.2: the receiver is retired and wants nothing more


def decide(
    policy: RetryPolicy,
    attempts: list[Attempt],
    left: float,
    *,
    spread: float = 0.0,
    retry_after: float | None = None,
    retry_on: tuple[str, ...] | None = None,
    final: str | None = None,
) -> Outcome:
    """The outcome after the last attempt: every failure but 410 is retried while attempts are left.

    ``left``: seconds until the delivery's deadline, after which there is no attempt. ``spread``: a
    random number from 0 to 1 for the jitter. ``retry_after``: seconds for which the receiver asks
    the gateway to wait; respected as far as ``RetryPolicy.bounded`` says. ``retry_on``:
    the failures that are retried (None: all). ``final``: why there must be no further attempt.
    """
    last = attempts[-1]
    if last.error_type is None:
        return Succeeded()
    if last.status_code == GONE:
        final = "the receiver answered 410 Gone"
    elif final is None and retry_on is not None:
        final = not_retried(retry_on, last.status_code, last.error_type)
    if final is None and len(attempts) >= policy.max_attempts:
        final = f"it was attempt {len(attempts)} of {policy.max_attempts}"
    if final is not None:
        return DeadLetter(last.error_type, final)
    planned = policy.delay(len(attempts))
    delay = planned * (1 + policy.jitter * spread)
    if retry_after is not None:
        delay = max(delay, policy.bounded(retry_after, len(attempts)))
    if delay <= left:
        return Retry(delay)
    return DeadLetter(
        AttemptErrorType.EXPIRED, "the next attempt would be after the deadline (max_age)"
    )
