"""Where a subscriber of a stream begins."""

from typing import Any

import msgspec

from event_gateway.core.text.times import parse_time

FORMS = '"new", "first", {"seq": N} or {"time": "RFC 3339"}'
TEXT_FORMS = "new, first, a sequence or an RFC 3339 time"


class Start(msgspec.Struct, frozen=True):
    """From now on, or from the first, a sequence, or a time (seconds since the epoch) on."""

    first: bool = False
    seq: int | None = None
    time: float | None = None

    @property
    def new(self) -> bool:
        """Whether nothing is wanted of what the stream holds already."""
        return not self.first and self.seq is None and self.time is None


def start_of(wanted: Any) -> Start:
    """The start that a request's ``from`` means. Raises ValueError."""
    if wanted == "new":
        return Start()
    if wanted == "first":
        return Start(first=True)
    if isinstance(wanted, dict) and len(wanted) == 1:
        seq, at = wanted.get("seq"), wanted.get("time")
        if isinstance(seq, int) and not isinstance(seq, bool) and seq >= 0:
            return Start(seq=seq)
        if isinstance(at, str):
            try:
                return Start(time=parse_time(at))
            except ValueError:
                pass
    raise ValueError(f"from is {FORMS}")


def start_of_text(wanted: str) -> Start:
    """The start that a query string's ``from`` means. Raises ValueError."""
    if wanted.isdecimal() and wanted.isascii():
        return start_of({"seq": int(wanted)})
    if wanted in ("new", "first"):
        return start_of(wanted)
    try:
        return start_of({"time": wanted})
    except ValueError:
        raise ValueError(f"from is {TEXT_FORMS}") from None
