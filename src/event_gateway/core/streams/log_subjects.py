"""The NATS subjects that the log captures, and the subject on which an event is published."""

from event_gateway.core.cloudevents.type_subject import EVENTS_ROOT, spellings, subject_of
from event_gateway.core.matching.pattern import covers, matches, overlaps


def subject_for(event_type: str, captured: tuple[str, ...]) -> str:
    """The NATS subject on which an event of this type is published: the type's own where a captured
    pattern matches it, else that subject below ``events``."""
    subject = subject_of(event_type)
    if any(matches(pattern, subject) for pattern in captured):
        return subject
    return f"{EVENTS_ROOT}.{subject}"


def merge_captured(have: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Both lists of subjects without overlaps, which JetStream refuses: a wider subject replaces
    narrower ones, and one that overlaps another without covering it is left out.
    """
    out = list(have)
    for subject in more:
        if any(covers(captured, subject) for captured in out):
            continue
        out = [captured for captured in out if not covers(subject, captured)]
        if not any(overlaps(captured, subject) for captured in out):
            out.append(subject)
    return tuple(out)


def capturable(pattern: str) -> tuple[str, ...]:
    """The subjects to capture for a pattern: everything below its first token. None where that
    token is a wildcard, or belongs to the gateway or to NATS."""
    first = pattern.partition(".")[0]
    if first in ("*", ">", "webhook", "stream", "gateway", "eg") or first.startswith(("$", "_")):
        return ()
    return tuple(f"{root}.>" for root in spellings(first))
