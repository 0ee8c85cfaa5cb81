"""Subject patterns, as in NATS: tokens between dots, ``*`` for one token, ``>`` for the rest."""

import hashlib
import re

from event_gateway.core.errors import InvalidDefinition

MAX_LENGTH = 255
MAX_TOKENS = 32
BEGINNING = 200  # characters of the subject of a type that is too long for one
_CUT_ESCAPE = re.compile("%[0-9A-F]?$")
_UNSAFE = frozenset(b' *>%\x7f\t\r\n"')


def check_pattern(pattern: str, key: str) -> tuple[str, ...]:
    """The pattern's tokens; raises InvalidDefinition, naming ``key``, where it is none."""
    tokens = tuple(pattern.split("."))
    if not pattern or len(pattern) > MAX_LENGTH or len(tokens) > MAX_TOKENS:
        raise InvalidDefinition(key, f"a pattern has 1 to {MAX_LENGTH} characters and at most "
                                     f"{MAX_TOKENS} tokens")  # fmt: skip
    for position, token in enumerate(tokens):
        if not token:
            raise InvalidDefinition(key, f"{pattern!r} has an empty token between its dots")
        if token == ">" and position != len(tokens) - 1:
            raise InvalidDefinition(key, f"in {pattern!r} '>' may only be the last token")
        if token not in ("*", ">") and any(c in "*> \t\r\n" for c in token):
            raise InvalidDefinition(
                key, f"in {pattern!r} a wildcard must be a whole token, and spaces are not allowed"
            )
    return tokens


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject (or an event type) fits a pattern."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in ("*", given[position]):
            return False
    return len(wanted) == len(given)


def overlaps(one: str, other: str) -> bool:
    """Whether some subject fits both patterns."""
    first, second = one.split("."), other.split(".")
    for position in range(max(len(first), len(second))):
        mine = first[position] if position < len(first) else None
        theirs = second[position] if position < len(second) else None
        if mine is None or theirs is None:
            return False
        if ">" in (mine, theirs):
            return True
        if "*" not in (mine, theirs) and mine != theirs:
            return False
    return True


def covers(wide: str, narrow: str) -> bool:
    """Whether every subject of ``narrow`` fits ``wide`` too, as far as a final ``>`` tells."""
    return wide == narrow or (wide.endswith(".>") and narrow.startswith(wide[:-1]))


def merge_captured(have: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Both lists without overlaps, which JetStream refuses: a wider entry replaces narrower ones.

    One that overlaps another without covering it is left out.
    """
    out = list(have)
    for subject in more:
        if any(covers(one, subject) for one in out):
            continue
        out = [one for one in out if not covers(subject, one)]
        if not any(overlaps(one, subject) for one in out):
            out.append(subject)
    return tuple(out)


def capturable(pattern: str) -> str | None:
    """The subjects to capture for a pattern: all below its first token. None where they are not
    for the log to take, as the gateway's own and NATS' subjects are not."""
    first = pattern.partition(".")[0]
    if first in ("*", ">", "webhook", "stream", "gateway", "eg") or first.startswith(("$", "_")):
        return None
    return f"{first}.>"


def subject_for(event_type: str, captured: tuple[str, ...]) -> str:
    """The NATS subject on which an event of this type is published.

    It is the type itself where one of the captured patterns takes it, else ``events.<type>``.
    Characters that a NATS token cannot hold are percent-encoded; an empty token becomes ``%``.
    NATS takes no command over 4 KiB, and answers would be as long: of one that has more than
    MAX_LENGTH characters by then the beginning is used, with ``~`` and a digest of the whole.
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
