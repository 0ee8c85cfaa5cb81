"""The NATS subjects that the log captures, and patterns that no captured subject can match."""

from collections.abc import Iterator

from event_gateway.config.model import Config
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.streams.capture_warnings import capture_warnings
from event_gateway.core.streams.log_subjects import capturable, merge_captured

DEFAULT = ("ontology.>", "terminus.>", "audit.>", "scheduler.>", "user.>")
ALWAYS = "events.>"  # for events over HTTP whose type matches no other captured subject


def captured_subjects(config: Config) -> tuple[str, ...]:
    """The subjects to capture from NATS, without overlaps."""
    if config.ingest.subjects is not None:
        return merge_captured((), (ALWAYS, *config.ingest.subjects))
    roots = tuple(
        root
        for _, _, patterns in _definitions(config)
        for pattern in patterns
        for root in capturable(pattern)
    )
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
    """Pairs of key and reason for each pattern whose events on NATS the gateway does not get, or
    not all of them."""
    # Only NATS knows the subjects of external streams.
    captured = None if config.ingest.streams else captured_subjects(config)
    return [
        (f"{place}.{warning.key}", warning.detail)
        for place, key, patterns in _definitions(config)
        for warning in capture_warnings(patterns, captured, key)
    ]


def _definitions(config: Config) -> Iterator[tuple[str, str, list[str]]]:
    """Of each webhook and stream: its place, the key of its patterns, and the patterns."""
    for name, webhook in config.webhooks.items():
        yield f"webhooks.{name}", "events", webhook.events
    for name, stream in config.streams.items():
        yield f"streams.{name}", "subjects", stream.subjects
