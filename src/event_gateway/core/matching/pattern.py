"""Subject patterns, as in NATS: tokens between dots, ``*`` for one token, ``>`` for the rest."""

from event_gateway.core.errors import InvalidDefinition

MAX_LENGTH = 255
MAX_TOKENS = 32


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
