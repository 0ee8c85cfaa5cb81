"""Entries of the index of events: by id, source, subject, causation and correlation.

An entry has 8 bytes: 3 of a digest of what is looked for, 5 of a position. Entries of a day and of
the same part of the digests are stored together, so a search reads a 64th of each day. Two texts
can have the same entry, so what an entry leads to must be compared with the text.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from hashlib import blake2b as _blake
from itertools import groupby
from typing import NamedTuple

from event_gateway.core.cloudevents.event import Received

DAY = 86400
PARTS = 64
SIZE = 8  # bytes of an entry
SPAN = 256  # sequences that one entry stands for where a batch has many events of a text
MANY = 8  # events of a text in a batch that have an entry each
_SPANS = 1 << 39  # in a position: it is the number of a span of sequences

ID, SOURCE, SUBJECT, CAUSATION, CORRELATION = b"i", b"s", b"u", b"c", b"r"


class SequenceSpan(NamedTuple):
    """Sequences of a stream, both included."""

    first: int
    last: int


def digest(kind: bytes, text: str) -> bytes:
    """The digest of a text: its part, and the 3 bytes that are in its entries."""
    made = _blake(kind + text.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return bytes((made[0] % PARTS,)) + made[1:]


@lru_cache(maxsize=4096)
def _digest_of_source(source: str) -> bytes:
    return digest(SOURCE, source)


_of_id = _blake(ID, digest_size=4)


def _day(received: Received) -> int:
    return int(received.time) // DAY


# In the order of the texts that :func:`packed` gathers.
_DIGESTS: tuple[Callable[[str], bytes], ...] = (
    _digest_of_source, partial(digest, SUBJECT), partial(digest, CAUSATION),
    partial(digest, CORRELATION),
)  # fmt: skip


def packed(events: Iterable[Received]) -> list[str | bytes]:
    """The entries of events of one stream: the names of the slots where they belong, each followed
    by its entries."""
    arguments: list[str | bytes] = []
    for day, group in groupby(events, _day):
        slots: dict[int, bytes] = {}
        texts: tuple[dict[str, list[int]], ...] = ({}, {}, {}, {})
        sources, subjects, causations, correlations = texts
        for received in group:
            event, seq = received.event, received.seq
            if not 0 < seq < _SPANS:
                continue
            digesting = _of_id.copy()  # as `digest` does, in half of the time
            digesting.update(event.id.encode("utf-8", "surrogatepass"))
            made = digesting.digest()
            part = made[0] % PARTS
            slots[part] = slots.get(part, b"") + made[1:] + seq.to_bytes(5)
            _note(sources, event.source, seq)
            if event.subject:
                _note(subjects, event.subject, seq)
            if event.extensions:
                _note(causations, str(event.extensions.get("causationid", "")), seq)
                _note(correlations, str(event.extensions.get("correlationid", "")), seq)
        for digest_of, gathered in zip(_DIGESTS, texts, strict=True):
            for text, seqs in gathered.items():
                if text:
                    made = digest_of(text)
                    slots[made[0]] = slots.get(made[0], b"") + _entries(made, seqs)
        for part, entries in slots.items():
            arguments += (f"{day}:{part}", entries)
    return arguments


def _note(gathered: dict[str, list[int]], text: str, seq: int) -> None:
    if text in gathered:
        gathered[text].append(seq)
    else:
        gathered[text] = [seq]


def _entries(made: bytes, seqs: list[int]) -> bytes:
    if len(seqs) == 1:
        return made[1:] + seqs[0].to_bytes(5)
    if len(seqs) > MANY:
        seqs = sorted({seq // SPAN | _SPANS for seq in seqs})
    return b"".join(made[1:] + seq.to_bytes(5) for seq in seqs)


def slot_of(day: int, made: bytes) -> str:
    """The name of the slot of a digest on a day."""
    return f"{day}:{made[0]}"


def spans_in(content: bytes, made: bytes) -> set[SequenceSpan]:
    """The sequences at which a slot's content has a digest."""
    wanted = made[1:]
    found: set[SequenceSpan] = set()
    at = content.find(wanted)
    while at >= 0:
        if at % SIZE:
            at = content.find(wanted, at + 1)
            continue
        position = int.from_bytes(content[at + 3 : at + SIZE])
        if position & _SPANS:
            first = (position - _SPANS) * SPAN
            found.add(SequenceSpan(first, first + SPAN - 1))
        else:
            found.add(SequenceSpan(position, position))
        at = content.find(wanted, at + SIZE)
    return found
