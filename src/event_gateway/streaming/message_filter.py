"""Which messages of a stream a subscriber gets; evaluated once for all with equal selections."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from event_gateway.core.access.narrowing import may_read
from event_gateway.core.access.principal import Principal
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.matching.filter import Predicate
from event_gateway.core.matching.pattern import matches
from event_gateway.core.matching.selection import Selection, compile_selection
from event_gateway.streaming.stream_message import StreamMessage

MessageFilter = Callable[[StreamMessage], bool]
MAX_COMPILED = 1024  # selections that are kept compiled


def subjects_of(patterns: Sequence[str]) -> tuple[str, ...]:
    """The subjects of the log for patterns."""
    return tuple(subject for pattern in patterns for subject in log_subjects(pattern))


def message_filter(patterns: Sequence[str] | None, selection: Selection) -> MessageFilter | None:
    """Whether a subscriber gets a message, by its subjects (None: all) and its selection. None if
    it gets all messages."""
    passes = None if selection == Selection() else _passing(msgspec.json.encode(selection))
    if patterns is None:
        return passes
    subjects = subjects_of(patterns)

    def both(message: StreamMessage) -> bool:
        if not any(matches(subject, message.subject) for subject in subjects):
            return False
        return passes is None or passes(message)

    return both


def narrowed_filter(caller: Principal, passes: MessageFilter | None) -> MessageFilter:
    """Whether a caller that is narrowed gets a message: one that it may read, and that ``passes``
    lets through (None: any). Of other events nothing is evaluated."""
    key = msgspec.json.encode((caller.namespaces, caller.types))  # a list: no selection is one
    readable = _judged(key, lambda received: may_read(caller, received))

    def both(message: StreamMessage) -> bool:
        return readable(message) and (passes is None or passes(message))

    return both


@lru_cache(maxsize=MAX_COMPILED)
def _passing(encoded: bytes) -> MessageFilter:
    return _judged(encoded, compile_selection(msgspec.json.decode(encoded, type=Selection)))


def _judged(key: bytes, predicate: Predicate) -> MessageFilter:
    """The filter of a predicate. Its verdict on a message is kept under the key: all subscribers
    with an equal one share it."""

    def passes(message: StreamMessage) -> bool:
        verdicts = message.verdicts
        if verdicts is None:
            verdicts = message.verdicts = {}
        verdict = verdicts.get(key)
        if verdict is None:
            assert message.received is not None
            verdict = verdicts[key] = bool(predicate(message.received))
        return verdict

    return passes
