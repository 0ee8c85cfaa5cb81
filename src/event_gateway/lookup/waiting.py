"""Why a delivery has not ended: a pure answer from its record, its webhook and its place."""

import msgspec

from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.webhook.delivery import FINAL, Status
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.queue_places import QueuePlace
from event_gateway.state.records import Record

OWN_FAULTS = (
    AttemptErrorType.SECRET_MISSING,
    AttemptErrorType.AUTH_ERROR,
    AttemptErrorType.TRANSFORMATION_ERROR,
)


class Wait(msgspec.Struct, frozen=True):
    """A reason why a delivery waits; ``until``: RFC 3339, null where no time is known."""

    reason: str
    detail: str
    until: str | None = None


class Turn(msgspec.Struct, frozen=True):
    """How far an ordered webhook is: ``done`` is the sequence up to which all is delivered,
    ``next`` that of the first event behind it that matches; None: it was not found."""

    done: int
    next: int | None


def waits(webhook: Webhook, record: Record, place: QueuePlace) -> list[Wait]:
    """All reasons why a delivery waits, those first that people can end; none if it has ended."""
    if record.status in FINAL:
        return []
    found = held_back(webhook)
    found += _own_fault(record)
    found += _lane(webhook, place)
    if record.status is Status.IN_PROGRESS:
        number = len(record.attempts) + 1
        found.append(
            Wait(
                "attempt_in_progress",
                f"attempt {number} runs, or is about to; it is under a lease until then",
                rfc3339_or_none(record.next_attempt_at),
            )
        )
    elif record.status is Status.FAILED:
        found.append(
            Wait(
                "dead_letter_not_stored",
                "all attempts have failed; the dead letter is not stored in NATS yet",
            )
        )
    elif record.next_attempt_at is not None and record.next_attempt_at > place.now:
        number, most = len(record.attempts), webhook.retry_policy.max_attempts
        if number:
            detail = f"attempt {number} of {most} failed; the next one is due then"
            found.append(Wait("retry_later", detail, rfc3339(record.next_attempt_at)))
        elif record.last_error:
            detail = "no request was sent; the next attempt is due then"
            found.append(Wait("retry_later", detail, rfc3339(record.next_attempt_at)))
        else:
            detail = "a process has it and attempts it once the webhook's concurrency limit allows"
            found.append(Wait("concurrency", detail, rfc3339(record.next_attempt_at)))
    if place.ahead:
        detail = f"{place.ahead} of its webhook's {place.depth} queued deliveries are due earlier"
        found.append(Wait("queue", detail))
    if not found:
        found.append(Wait("due", "it is due; a process is about to take it"))
    return found


def held_back(webhook: Webhook) -> list[Wait]:
    """Why a webhook's attempts do not start, as far as its definition says."""
    if webhook.deleting:
        return [Wait("deleting", "the webhook is being deleted: the delivery will be cancelled")]
    if webhook.renamed_to:
        to = webhook.renamed_to
        return [
            Wait("renamed", f"the webhook was renamed to {to}, which takes its deliveries over")
        ]
    if webhook.orphaned_at:
        detail = "the configuration file does not name the webhook any more: name it again, or "
        return [Wait("orphaned", f"{detail}delete it")]
    if webhook.disabled is not None:
        disabled = webhook.disabled
        return [
            Wait("disabled", f"the gateway disabled the webhook at {rfc3339(disabled.at)}: "
                 f"{disabled.reason}; enable it with POST /v1/webhooks/{webhook.id}/enable")
        ]  # fmt: skip
    if not webhook.enabled:
        return [Wait("paused", "the webhook is paused: enabled is false")]
    if not webhook.is_verified:
        return [
            Wait("unverified", "the receiver has not accepted deliveries: verify it with "
                 f"POST /v1/webhooks/{webhook.id}/verify")
        ]  # fmt: skip
    return []


def in_order(webhook: Webhook, seq: int, turn: Turn) -> list[Wait]:
    """Why an ordered webhook has not come to an event."""
    found = held_back(webhook)
    if seq > turn.done:
        behind = ""
        if turn.next is not None and turn.next < seq:
            behind = f"; the event at sequence {turn.next} is next"
        elif turn.next == seq:
            behind = "; this event is next"
        unit = f"per {webhook.ordered_by}" if webhook.ordered_by else "one after the other"
        found.append(
            Wait("order", f"the webhook gets its events in order ({unit}): it has finished those "
                 f"up to sequence {turn.done}{behind}")
        )  # fmt: skip
    return found


def _own_fault(record: Record) -> list[Wait]:
    last = record.attempts[-1] if record.attempts else None
    text = record.last_error or ""
    for fault in OWN_FAULTS:
        if text.startswith(fault) or (last is not None and last.error_type == fault):
            reason = (
                "secret_missing" if fault is AttemptErrorType.SECRET_MISSING else "not_sendable"
            )
            return [Wait(reason, f"the request could not be made: {text or fault}")]
    return []


def _lane(webhook: Webhook, place: QueuePlace) -> list[Wait]:
    found = []
    if place.breaker == "open":
        found.append(
            Wait(
                "circuit_breaker_open",
                "the circuit breaker is open after failed attempts",
                rfc3339_or_none(place.open_until),
            )
        )
    elif place.breaker == "half_open":
        found.append(
            Wait(
                "circuit_breaker_half_open",
                "the circuit breaker lets a single attempt through to probe the receiver",
            )
        )
    if place.throttled_until is not None and place.throttled_until > place.now:
        found.append(
            Wait(
                "throttled",
                "the receiver has asked for no requests (Retry-After)",
                rfc3339(place.throttled_until),
            )
        )
    gate = place.gate_until
    if gate is not None and gate > place.now and place.breaker == "closed":
        limits = ", ".join(f"{limit.events} in {limit.per:g} s" for limit in webhook.limits)
        found.append(
            Wait(
                "rate_limit", f"the rate limit is used up ({limits or 'of before'})", rfc3339(gate)
            )
        )
    return found
