"""The log lines of deliveries: one for each failed attempt and for each dead letter."""

from typing import Any

import structlog

from event_gateway.core.cloudevents.trace_context import trace_of
from event_gateway.core.webhook.delivery import Attempt, DeadLetter, Outcome, Retry
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.job import Job
from event_gateway.observability.log_lines import LineLimit

log = structlog.get_logger(__name__)

# Asked before a line is made, which is a fifth of what a failed attempt costs.
_limit = LineLimit()

# Their texts are those of templates and functions, which may quote the data of the event.
_QUOTING = frozenset((AttemptErrorType.TRANSFORMATION_ERROR,))


def log_failed_attempt(webhook: Webhook, job: Job, attempt: Attempt, outcome: Outcome) -> None:
    """An attempt has failed, and ``outcome`` follows. A receiver that is down has a line for some
    of its attempts in a second."""
    if not _limit.takes("info", "attempt failed", webhook.id):
        return
    log.info(
        "attempt failed",
        **_about(job),
        attempt=attempt.number,
        max_attempts=webhook.retry_policy.max_attempts,
        error_type=attempt.error_type,
        **_error(attempt),
        status_code=attempt.status_code,
        duration_ms=attempt.duration_ms,
        outcome=_NAMES.get(type(outcome), "cancelled"),
        next_attempt_at=attempt.next_attempt_at,
        lines_left_out=_limit.left_out() or None,
    )


def log_dead_letter(job: Job, reason: str, seq: int) -> None:
    """A delivery has ended as the dead letter with this sequence."""
    attempts = job.delivery.attempts
    last = attempts[-1] if attempts else None
    log.warning(
        "delivery became a dead letter",
        **_about(job),
        attempts=len(attempts),
        reason=reason,
        error_type=last and last.error_type,
        **(_error(last) if last else {}),
        status_code=last and last.status_code,
        dead_letter_seq=seq,
    )


def log_no_attempt(job: Job, reason: str, seconds: float) -> None:
    """No attempt can be made of a delivery now; the gateway looks again in ``seconds``."""
    log.warning("attempt not possible", **_about(job), reason=reason, seconds=seconds)


_NAMES = {Retry: "retry", DeadLetter: "dead_letter"}


def _about(job: Job) -> dict[str, Any]:
    delivery, event = job.delivery, job.received.event
    correlation = event.extensions.get("correlationid")
    return {
        "webhook": delivery.webhook_id,
        "event_id": event.id,
        "event_type": event.type,
        "source": event.source,
        "trace_id": trace_of(job.received).trace_id,
        **({} if correlation is None else {"correlation_id": correlation}),
        "stream": delivery.stream,
        "seq": delivery.seq,
        "run": delivery.run,
    }


def _error(attempt: Attempt) -> dict[str, str | None]:
    return {} if attempt.error_type in _QUOTING else {"error": attempt.error_message}
