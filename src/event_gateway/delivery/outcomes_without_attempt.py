"""The outcomes of deliveries that end without a further attempt."""

from msgspec.structs import replace

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.webhook.delivery import (
    WEBHOOK_DELETED,
    Cancelled,
    DeadLetter,
    Delivery,
    Outcome,
)
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.delivery.deadlines import Deadlines
from event_gateway.delivery.lane import Lane


def outcome_without_attempt(
    lane: Lane | None, delivery: Delivery, deadlines: Deadlines
) -> Outcome | None:
    """The outcome of a delivery that is not to be attempted; None where it is."""
    if lane is None:
        return Cancelled(WEBHOOK_DELETED)
    if not delivery.run_by and not lane.webhook.is_older_than(delivery.stream, delivery.seq):
        return Cancelled(WEBHOOK_DELETED)  # it was for a former webhook of this id
    if delivery.failed:
        reason = delivery.attempts[-1].error_type if delivery.attempts else None
        return DeadLetter(reason or AttemptErrorType.SERVER_ERROR)
    if deadlines.time_left_of(lane.webhook, delivery) <= 0:
        return DeadLetter(AttemptErrorType.EXPIRED)
    return None


def lost_event(delivery: Delivery, stored: bytes) -> Event:
    """What stands in a dead letter for an event that is lost. ``stored``: the bytes of a message
    that is no event."""
    event = Event(delivery.event_id, delivery.source, "unknown")
    if not stored:
        return event
    content_type = "application/octet-stream"
    return replace(event, datacontenttype=content_type, data=stored, kind=DataKind.BINARY)
