"""Which NATS subjects the log captures, and which patterns nothing would feed."""

from collections.abc import Iterator

from event_gateway.config.model import Config
from event_gateway.core.pattern import capturable, merge_captured, overlaps

DEFAULT = ("ontology.>", "terminus.>", "audit.>", "scheduler.>", "user.>")
ALWAYS = "events.>"  # where events over HTTP go whose type is not captured otherwise
LIFECYCLE = ("webhook.>", "stream.>", "gateway.>")


def captured_subjects(config: Config) -> tuple[str, ...]:
    """The subjects to capture from NATS, without overlaps."""
    if config.ingest.subjects is not None:
        return merge_captured((), (ALWAYS, *config.ingest.subjects))
    roots = (capturable(pattern) for _, pattern in _patterns(config))
    return merge_captured((*DEFAULT, ALWAYS), tuple(root for root in roots if root))


def unfed_patterns(config: Config) -> list[str]:
    """A line for each pattern that no event from NATS could match."""
    fed = (*captured_subjects(config), *LIFECYCLE)
    return [
        f"{key}: nothing from NATS feeds {pattern!r}: add its subject to ingest.subjects"
        for key, pattern in _patterns(config)
        if not any(overlaps(pattern, subject) for subject in fed)
    ]


def _patterns(config: Config) -> Iterator[tuple[str, str]]:
    for name, webhook in config.webhooks.items():
        for pattern in webhook.events:
            yield f"webhooks.{name}.events", pattern
    for name, stream in config.streams.items():
        for subject in stream.subjects:
            yield f"streams.{name}.subjects", subject
