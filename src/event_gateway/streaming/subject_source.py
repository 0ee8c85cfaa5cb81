"""Which JetStream stream holds the subjects that a subscriber requests."""

from collections.abc import Sequence
from typing import NamedTuple

from event_gateway.broker.event_log import EventLog
from event_gateway.core.cloudevents.type_subject import spellings
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE, LIFECYCLE_SUBJECTS
from event_gateway.streaming.refusal import SubscriptionRefused


class SubjectSource(NamedTuple):
    """A JetStream stream; ``holes``: whether its sequences may have holes that are no loss."""

    stream: str
    holes: bool


def check_subjects(patterns: Sequence[str]) -> None:
    """Raises SubscriptionRefused if one of the patterns is not valid."""
    for pattern in patterns:
        try:
            check_pattern(pattern, "subjects")
        except InvalidDefinition as error:
            raise SubscriptionRefused("invalid", str(error)) from None


def source_of(events: EventLog, patterns: Sequence[str]) -> SubjectSource:
    """The one stream that holds what comes on all of these subjects. Raises SubscriptionRefused."""
    sources = {_source_of(events, pattern) for pattern in patterns}
    if len(sources) > 1:
        raise SubscriptionRefused(
            "invalid",
            "these subjects are in different streams of NATS: subscribe to each stream separately",
        )
    return sources.pop()


def _source_of(events: EventLog, pattern: str) -> SubjectSource:
    # A pattern that begins with a wildcard means the events, not the gateway's lifecycle events.
    if pattern[0] not in "*>" and _any_overlaps(LIFECYCLE_SUBJECTS, pattern):
        return SubjectSource(LIFECYCLE, holes=False)
    written = spellings(pattern)
    if any(_any_overlaps(events.captured, subject) for subject in written):
        return SubjectSource(EVENTS, holes=False)
    for stream in events.external:
        if any(_any_overlaps(stream.subjects, subject) for subject in written):
            return SubjectSource(stream.name, holes=True)
    raise SubscriptionRefused(
        "not_captured",
        f"the log captures nothing on {pattern[:64]}; events sent over HTTP with such a type "
        f"are on events.{pattern[:64]}",
    )


def _any_overlaps(subjects: Sequence[str], pattern: str) -> bool:
    return any(overlaps(subject, pattern) for subject in subjects)
