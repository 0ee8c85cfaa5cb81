"""The NATS subjects that the log captures, and the subject on which an event is published."""

import hashlib
import re

from event_gateway.core.matching.pattern import MAX_LENGTH, covers, matches, overlaps

BEGINNING = 200  # characters of the subject of a type that is too long for one
_CUT_ESCAPE = re.compile("%[0-9A-F]?$")
_UNSAFE = frozenset(b' *>%\x7f\t\r\n"')


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


def capturable(pattern: str) -> str | None:
    """The subject to capture for a pattern: everything below its first token. None where that
    token is a wildcard, or belongs to the gateway or to NATS."""
    first = pattern.partition(".")[0]
    if first in ("*", ">", "webhook", "stream", "gateway", "eg") or first.startswith(("$", "_")):
        return None
    return f"{first}.>"


def subject_for(event_type: str, captured: tuple[str, ...]) -> str:
    """The NATS subject on which an event of this type is published.

    It is the type itself where a captured pattern matches it, else ``events.<type>``. Characters
    that a NATS token cannot contain are percent-encoded; an empty token becomes ``%``. NATS limits
    commands to 4 KiB, so a subject of more than MAX_LENGTH characters is cut, and ends in ``~`` and
    a digest of the whole type.
    """
    subject = ".".join(_safe_token(token) for token in event_type.split("."))
    if len(subject) > MAX_LENGTH:
        begins = _CUT_ESCAPE.sub("", subject[:BEGINNING]).rstrip(".")
        return f"events.{begins}~{hashlib.sha256(event_type.encode()).hexdigest()[:16]}"
    if any(matches(pattern, subject) for pattern in captured):
        return subject
    return f"events.{subject}"


def _safe_token(token: str) -> str:
    encoded = "".join(
        f"%{b:02X}" if b < 0x21 or b >= 0x7F or b in _UNSAFE else chr(b) for b in token.encode()
    )
    return encoded or "%"
