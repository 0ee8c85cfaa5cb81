"""Which messages of a stream a subscriber gets, looked at once for all who ask for the same."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from event_gateway.core.matching.filter import Predicate
from event_gateway.core.matching.pattern import matches
from event_gateway.core.matching.selection import Selection, compile_selection
from event_gateway.streaming.stream_message import StreamMessage

MessageFilter = Callable[[StreamMessage], bool]
COMPILED = 1024  # selections that are kept for who asks for the same


def log_subjects(patterns: Sequence[str]) -> tuple[str, ...]:
    """The subjects of the log that patterns stand for: what comes over HTTP with a type that
    nothing else captures is below ``events``."""
    return tuple(one for pattern in patterns for one in (pattern, f"events.{pattern}"))


def message_filter(patterns: Sequence[str] | None, selection: Selection) -> MessageFilter | None:
    """Whether a message is for who asks for this; None where every one is."""
    passes = None if selection == Selection() else _passing(msgspec.json.encode(selection))
    if patterns is None:
        return passes
    subjects = log_subjects(patterns)

    def both(message: StreamMessage) -> bool:
        if not any(matches(one, message.subject) for one in subjects):
            return False
        return passes is None or passes(message)

    return both


@lru_cache(maxsize=COMPILED)
def _passing(encoded: bytes) -> MessageFilter:
    predicate: Predicate = compile_selection(msgspec.json.decode(encoded, type=Selection))

    def passes(message: StreamMessage) -> bool:
        verdicts = message.verdicts
        if verdicts is None:
            verdicts = message.verdicts = {}
        verdict = verdicts.get(encoded)
        if verdict is None:
            assert message.received is not None
            verdict = verdicts[encoded] = bool(predicate(message.received))
        return verdict

    return passes
