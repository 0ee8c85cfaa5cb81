"""Warnings about patterns whose events the gateway gets only in part, or not at all."""

from collections.abc import Iterator, Sequence

from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.cloudevents.type_subject import spellings
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.matching.pattern import matches, overlaps
from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES

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
        elif is_lifecycle(pattern):
            if not any(matches(pattern, name) for name in LIFECYCLE_TYPES):
                yield DefinitionWarning("lifecycle_types", at, _of_no_type(pattern))
        elif captured is not None and not any(
            overlaps(written, subject) for written in spellings(pattern) for subject in captured
        ):
            detail = f"no captured subject matches {pattern!r}: add its subject to ingest.subjects"
            yield DefinitionWarning("not_captured", at, detail)


def _of_no_type(pattern: str) -> str:
    root = pattern.partition(".")[0]
    known = ", ".join(name for name in LIFECYCLE_TYPES if name.startswith(f"{root}."))
    return (
        f"no lifecycle event has a type like {pattern!r}, and nobody else can publish such types"
        + (f"; there are: {known}" if known else "")
    )


def _of_wildcard(pattern: str, captured: Sequence[str] | None) -> str:
    subjects = "the subjects of ingest.subjects and ingest.streams"
    if captured is not None:
        more = len(captured) - MAX_SHOWN
        subjects = ", ".join(captured[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{pattern!r} begins with a wildcard, so the gateway captures no subject for it: of events "
        f"on NATS it gets those on captured subjects ({subjects}); add others to ingest.subjects"
    )
