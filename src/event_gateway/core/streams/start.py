"""Where a subscription to a stream starts."""

from typing import Any

import msgspec

from event_gateway.core.text.times import parse_time

MAX_SEQ = 2**63 - 1  # of JetStream, as far as all clients can count
FORMS = '"new", "first", {"seq": N} or {"time": "RFC 3339"}'
TEXT_FORMS = "new, first, a sequence or an RFC 3339 time"


class Start(msgspec.Struct, frozen=True):
    """Only new events; or from the first event, a sequence, or a time (seconds since the epoch).

    ``recreated``: from the first event, as the position that was stored for the client is of a
    former stream of the name.
    """

    first: bool = False
    seq: int | None = None
    time: float | None = None
    recreated: bool = False

    @property
    def new(self) -> bool:
        """Whether the subscriber gets no event that the stream stores already."""
        return not self.first and self.seq is None and self.time is None


def start_of(given: Any) -> Start:
    """The start for the ``from`` of a request. Raises ValueError."""
    if given == "new":
        return Start()
    if given == "first":
        return Start(first=True)
    if isinstance(given, dict) and len(given) == 1:
        seq, at = given.get("seq"), given.get("time")
        if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq <= MAX_SEQ:
            return Start(seq=seq)
        if isinstance(at, str):
            try:
                return Start(time=parse_time(at))
            except ValueError:
                pass
    raise ValueError(f"from must be {FORMS}")


def sequence_of(text: str) -> int | None:
    """A sequence written as text; None where it is none, or above MAX_SEQ."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        return None
    seq = int(text)
    return seq if seq <= MAX_SEQ else None


def start_of_text(given: str) -> Start:
    """The start for the ``from`` of a query string. Raises ValueError."""
    seq = sequence_of(given)
    if seq is not None:
        return Start(seq=seq)
    if given in ("new", "first"):
        return start_of(given)
    try:
        return start_of({"time": given})
    except ValueError:
        raise ValueError(f"from must be {TEXT_FORMS}") from None
