"""What the evaluations of expressions share, of whatever language: their error, and their
budget."""

from event_gateway.core.cloudevents.event import Received

MAX_EVENT_WORK = 64 << 20  # bytes that all evaluations for one event may read or build together
LITTLE = 128 << 10  # bytes up to which an evaluation does not count for that


class EvaluationError(Exception):
    """An expression gave no value for an event. ``kind`` names the error in the words of the
    expression's language."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


def charge(received: Received, work: int) -> bool:
    """Counts what an evaluation may cost, in bytes. False where the evaluations for the event have
    used what all of them together may cost: then it must not take place."""
    if work <= LITTLE:
        return True
    if received.expression_work + work > MAX_EVENT_WORK:
        return False
    received.expression_work += work
    return True
