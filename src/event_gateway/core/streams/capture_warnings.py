"""Warnings about patterns whose events on NATS the gateway gets only in part, or not at all."""

from collections.abc import Iterator, Sequence

from event_gateway.core.cloudevents.type_subject import spellings
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.matching.pattern import overlaps
from event_gateway.core.streams.definition import LIFECYCLE_SUBJECTS

MAX_SHOWN = 8  # captured subjects that a warning names


def capture_warnings(
    patterns: Sequence[str], captured: Sequence[str] | None, key: str
) -> Iterator[DefinitionWarning]:
    """The warnings about the patterns of a webhook (``key``: ``events``) or of a stream
    (``subjects``).

    ``captured``: the subjects that the log and the external streams capture; None if only NATS
    knows them.
    """
    for position, pattern in enumerate(patterns):
        at = f"{key}[{position}]"
        if pattern.partition(".")[0] in ("*", ">"):
            yield DefinitionWarning("wildcard_first", at, _of_wildcard(pattern, captured))
        elif any(overlaps(pattern, subject) for subject in LIFECYCLE_SUBJECTS):
            if key == "events":
                detail = f"{pattern!r}: webhooks do not get events of these types from NATS"
                yield DefinitionWarning("lifecycle_types", at, detail)
        elif captured is not None and not any(
            overlaps(written, subject) for written in spellings(pattern) for subject in captured
        ):
            detail = f"no captured subject matches {pattern!r}: add its subject to ingest.subjects"
            yield DefinitionWarning("not_captured", at, detail)


def _of_wildcard(pattern: str, captured: Sequence[str] | None) -> str:
    subjects = "the subjects of ingest.subjects and ingest.streams"
    if captured is not None:
        more = len(captured) - MAX_SHOWN
        subjects = ", ".join(captured[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{pattern!r} begins with a wildcard, so the gateway captures no subject for it: of events "
        f"on NATS it gets those on captured subjects ({subjects}); add others to ingest.subjects"
    )
