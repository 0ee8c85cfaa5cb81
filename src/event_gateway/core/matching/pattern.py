"""Patterns of types and subjects, as in NATS: tokens between dots, ``*`` for one token, ``>`` for
the rest. A pattern may contain what a type may, spaces and characters above ASCII too."""

from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.cloudevents.type_subject import MAX_LENGTH, MAX_TOKENS
from event_gateway.core.errors import InvalidDefinition


def check_pattern(pattern: str, key: str) -> tuple[str, ...]:
    """The tokens of a pattern. Raises InvalidDefinition with this key where it is not a pattern."""
    tokens = tuple(pattern.split("."))
    if not pattern or len(pattern) > MAX_LENGTH or len(tokens) > MAX_TOKENS:
        raise InvalidDefinition(key, f"a pattern has 1 to {MAX_LENGTH} characters and at most "
                                     f"{MAX_TOKENS} tokens")  # fmt: skip
    for position, token in enumerate(tokens):
        if not token:
            raise InvalidDefinition(key, f"{pattern!r} has an empty token between its dots")
        if token == ">" and position != len(tokens) - 1:
            raise InvalidDefinition(key, f"in {pattern!r} '>' may only be the last token")
        if token not in ("*", ">") and any(c in token for c in "*>"):
            raise InvalidDefinition(key, f"in {pattern!r} a wildcard must be a whole token")
    if pattern != pattern.strip() or not pattern.isprintable() or ", " in pattern:
        raise InvalidDefinition(
            key, f"{pattern!r} has spaces around a pattern, or a character that no type has; write "
                 "several patterns as a list"
        )  # fmt: skip
    return tokens


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject (or an event type) matches a pattern."""
    tokens, given = pattern.split("."), subject.split(".")
    for position, token in enumerate(tokens):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in ("*", given[position]):
            return False
    return len(tokens) == len(given)


def takes(pattern: str, event_type: str) -> bool:
    """Whether a webhook or caller with this pattern gets events of a type: it matches. Types of
    lifecycle events are only taken by patterns that name their first token."""
    return matches(pattern, event_type) and is_lifecycle(pattern) == is_lifecycle(event_type)


def overlaps(pattern: str, other: str) -> bool:
    """Whether a subject exists that matches both patterns."""
    first, second = pattern.split("."), other.split(".")
    for position in range(max(len(first), len(second))):
        token = first[position] if position < len(first) else None
        other_token = second[position] if position < len(second) else None
        if token is None or other_token is None:
            return False
        if ">" in (token, other_token):
            return True
        if "*" not in (token, other_token) and token != other_token:
            return False
    return True


def covers(wide: str, narrow: str) -> bool:
    """Whether every subject that matches ``narrow`` matches ``wide``. Only a final ``>`` counts."""
    return wide == narrow or (wide.endswith(".>") and narrow.startswith(wide[:-1]))


def includes(wide: str, narrow: str) -> bool:
    """Whether ``wide`` takes every subject that ``narrow`` takes, by all of its wildcards. As in
    :func:`takes`, a wildcard as the first token stands for no lifecycle events."""
    if is_lifecycle(narrow) != is_lifecycle(wide):
        return False
    tokens, given = wide.split("."), narrow.split(".")
    for position, token in enumerate(tokens):
        if token == ">":
            return len(given) > position
        if position >= len(given) or given[position] == ">":
            return False
        if token not in ("*", given[position]):
            return False
    return len(tokens) == len(given)
