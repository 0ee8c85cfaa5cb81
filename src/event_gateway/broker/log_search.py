"""Reads a stream backwards: the newest messages before a position, also of some subjects only.

JetStream reads forwards. It counts the messages of a subject behind a position without reading
them, so a search of the position with enough of them behind it takes a few calls, however long the
stream is.
"""

from collections.abc import Sequence

import msgspec
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import copied_from, stream_name
from event_gateway.broker.pull import MAX_BATCH, Pulled
from event_gateway.broker.reading_consumers import ASKED_ONCE, asked_once, reading
from event_gateway.broker.stream_page import read_page
from event_gateway.core.matching.pattern import covers, overlaps

MAX_BYTES = 16 * 1024 * 1024  # of the data of a passage; one message may be larger
MAX_PROBES = 40  # counts in the search of a position
UNREADABLE = (*BrokerError, APIError)  # what these functions raise
MAX_OF_OTHERS = 100  # copies of other streams that are passed over in the search of a copy
ENOUGH = 2  # times the wanted messages: as good a position as the exact one


class Passage(msgspec.Struct, frozen=True):
    """Messages in their order. There are no others of the subjects from ``begin`` on, up to where
    the passage ends."""

    messages: list[Pulled]
    begin: int


async def read_back(
    broker: Broker,
    stream: str,
    *,
    before: int,
    floor: int,
    wanted: int,
    subjects: Sequence[str] = (),
) -> Passage:
    """The messages of a passage that ends before the sequence ``before`` and begins at ``floor`` or
    later. It has at least ``wanted`` messages (1 to 500), without ``subjects`` half as many, if
    there are as many from ``floor`` on and they are no larger than :data:`MAX_BYTES`.

    ``subjects``: only messages on these; empty: on any. Raises the exceptions in BrokerError, and
    APIError.
    """
    if before <= floor:
        return Passage([], floor)
    if not subjects:
        begin = max(floor, before - wanted)
        passage = await _passage(broker, stream, before, begin, wanted, subjects)
        enough = len(passage.messages) * ENOUGH >= wanted or passage.begin > begin
        if enough or begin == floor:
            return passage
    # Of all messages, too, where most sequences have none: they were deleted.
    begin, limit = await _begin(broker, stream, before, floor, wanted, subjects)
    return await _passage(broker, stream, before, begin, limit, subjects)


async def _passage(
    broker: Broker, stream: str, before: int, begin: int, limit: int, subjects: Sequence[str]
) -> Passage:
    """The passage from ``begin`` to before ``before``, which has ``limit`` messages at most."""
    if not limit:
        return Passage([], begin)
    messages: list[Pulled] = []
    position, read = begin, 0
    while position < before and read < limit:
        page = await read_page(
            broker, stream, from_seq=position, subjects=subjects,
            limit=min(limit - read, MAX_BATCH),
        )  # fmt: skip
        part = [message for message in page.messages if message.seq < before]
        messages += part
        read += len(part)
        begin = _drop_oldest(messages, begin)
        if not page.remaining or len(part) < len(page.messages) or not part:
            break
        position = part[-1].seq + 1
    return Passage(messages, begin)


def _drop_oldest(messages: list[Pulled], begin: int) -> int:
    """Drops the oldest of the messages if they are too large together; returns where the rest
    begins."""
    size = 0
    for kept, message in enumerate(reversed(messages)):
        size += len(message.data)
        if size > MAX_BYTES and kept:
            del messages[: len(messages) - kept]
            return messages[0].seq
    return begin


async def _begin(
    broker: Broker, stream: str, before: int, floor: int, wanted: int, subjects: Sequence[str]
) -> tuple[int, int]:
    """Where a passage with ``wanted`` to about twice as many messages begins, and how many it has.
    If it has more it begins there all the same, if no later position has as many."""
    behind = await count_from(broker, stream, before, subjects)
    total = await count_from(broker, stream, floor, subjects) - behind
    if total <= wanted * ENOUGH:
        return floor, max(total, 0)
    low, high, count = floor, before, total  # from low on there are enough, from high on too few
    # The messages lie evenly, at first.
    guess = before - max(wanted, round((before - floor) * wanted * 1.3 / total))
    for _ in range(MAX_PROBES):
        if high - low <= 1 or wanted <= count <= wanted * ENOUGH:
            break
        guess = min(max(guess, low + 1), high - 1)
        found = await count_from(broker, stream, guess, subjects) - behind
        if found >= wanted:
            low, count = guess, found
            guess = (low + high) // 2
        else:
            # Further back in steps that double, then by halves.
            high = guess
            guess = max(before - 2 * (before - guess), (low + high) // 2)
    return low, count


async def count_from(broker: Broker, stream: str, seq: int, subjects: Sequence[str] = ()) -> int:
    """How many messages a stream has from a sequence on, of some subjects. Raises the exceptions
    in BrokerError, and APIError."""
    consumer = reading("count", ASKED_ONCE, from_seq=seq, subjects=subjects)
    return (await asked_once(broker, stream, consumer)).num_pending or 0


def filters_for(patterns: Sequence[str]) -> list[str]:
    """The filters of a consumer for these patterns of subjects; empty: none, as JetStream takes no
    filters that overlap, so the caller must look at each message."""
    kept: list[str] = []
    for pattern in dict.fromkeys(patterns):
        if any(covers(other, pattern) for other in kept):
            continue
        kept = [other for other in kept if not covers(pattern, other)] + [pattern]
    for position, pattern in enumerate(kept):
        if pattern == ">" or any(overlaps(pattern, other) for other in kept[position + 1 :]):
            return []
    return kept


async def copy_of(broker: Broker, name: str, stream: str, seq: int) -> tuple[int | None, str]:
    """The sequence under which a named stream has the message of a stream; None and the reason if
    it has none. Reads a few messages: a copy has the order of its source.

    Raises the exceptions in BrokerError, and APIError.
    """
    copy = stream_name(name)
    state = (await broker.js.stream_info(copy)).state
    low, high = state.first_seq, state.last_seq
    if not state.messages:
        return None, "the stream is empty"
    reached = of_others = 0
    while low <= high:
        at = middle = (low + high) // 2
        # The first message from the middle on that is a copy of this stream.
        while (found := await _copied(broker, copy, at)) is not None and found[0] <= high:
            if found[1] == stream:
                break
            at, of_others = found[0] + 1, of_others + 1
            if of_others > MAX_OF_OTHERS:
                return None, "it was not found among the copies of other streams"
        if found is None or found[0] > high:
            high = middle - 1
            continue
        own, _, origin = found
        reached = max(reached, origin)
        if origin == seq:
            return own, ""
        if origin < seq:
            low = own + 1
        else:
            high = middle - 1
    if reached < seq:
        return (
            None,
            f"the stream has not copied it, and is at sequence {reached} of the log",
        )
    return None, "the stream began later, has dropped it, or did not take its subject then"


async def _copied(broker: Broker, stream: str, seq: int) -> tuple[int, str, int] | None:
    """Of the first message of a named stream from a sequence on: its sequence, and the stream and
    sequence of which it is a copy."""
    try:
        message = await broker.js.get_msg(stream, seq=seq, subject=">", direct=True, next=True)
    except NotFoundError:
        return None
    if message.seq is None:
        return None
    return message.seq, *(copied_from(message.headers) or ("", 0))
