"""The NATS subjects that the log captures, and patterns that no captured subject can match."""

from collections.abc import Iterator

from event_gateway.config.model import Config
from event_gateway.core.cloudevents.type_subject import spellings
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.streams.definition import LIFECYCLE_SUBJECTS
from event_gateway.core.streams.log_subjects import capturable, merge_captured

DEFAULT = ("ontology.>", "terminus.>", "audit.>", "scheduler.>", "user.>")
ALWAYS = "events.>"  # for events over HTTP whose type matches no other captured subject


def captured_subjects(config: Config) -> tuple[str, ...]:
    """The subjects to capture from NATS, without overlaps."""
    if config.ingest.subjects is not None:
        return merge_captured((), (ALWAYS, *config.ingest.subjects))
    roots = tuple(root for _, pattern in _patterns(config) for root in capturable(pattern))
    return merge_captured((*DEFAULT, ALWAYS), roots)


def check_subjects(subjects: list[str]) -> Iterator[tuple[str, str]]:
    """The faults of the subjects in a configuration: pairs of key and reason."""
    for position, subject in enumerate(subjects):
        key = f"ingest.subjects[{position}]"
        try:
            check_pattern(subject, key)
        except InvalidDefinition as error:
            yield key, error.detail
            continue
        if " " in subject:
            yield key, f"{subject!r} has a space, which a NATS subject cannot have"
        if not capturable(subject):
            yield (
                key,
                (
                    f"{subject!r} cannot be captured: it begins with a wildcard, or with webhook. "
                    "stream. gateway. eg. $ or _, which are reserved for the gateway and for NATS"
                ),
            )
        for other in subjects[:position]:
            if other != subject and overlaps(other, subject):
                yield key, f"{subject!r} overlaps {other!r}: keep the wider one"


def unfed_patterns(config: Config) -> list[tuple[str, str]]:
    """Pairs of key and reason for each pattern that no event from NATS could match."""
    if config.ingest.streams:
        return []  # only NATS knows the subjects of those streams
    captured = captured_subjects(config)
    return [
        (key, reason)
        for key, pattern in _patterns(config)
        if not any(
            overlaps(written, subject) for written in spellings(pattern) for subject in captured
        )
        if (reason := _reason(pattern, for_stream=key.startswith("streams.")))
    ]


def _reason(pattern: str, *, for_stream: bool) -> str | None:
    if any(overlaps(pattern, subject) for subject in LIFECYCLE_SUBJECTS):
        if for_stream:
            return None
        return f"{pattern!r}: webhooks do not get events of these types from NATS"
    return f"no captured subject matches {pattern!r}: add its subject to ingest.subjects"


def _patterns(config: Config) -> Iterator[tuple[str, str]]:
    for name, webhook in config.webhooks.items():
        for position, pattern in enumerate(webhook.events):
            yield f"webhooks.{name}.events[{position}]", pattern
    for name, stream in config.streams.items():
        for position, subject in enumerate(stream.subjects):
            yield f"streams.{name}.subjects[{position}]", subject
