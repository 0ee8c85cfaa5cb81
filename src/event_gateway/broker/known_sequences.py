"""The highest sequence that each stream is known to have had: one that is created again begins
behind it, since what was noted of a sequence must stay true."""

# Messages that a stream may have got between the last look at it and its deletion.
SEQ_MARGIN = 1_000_000


class KnownSequences:
    """Those that this process knows, by stream."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def note(self, stream: str, seq: int) -> None:
        """Notes a sequence that a stream has had."""
        self._last[stream] = max(seq, self._last.get(stream, 0))

    def last(self, stream: str) -> int:
        """The highest sequence that a stream is known to have had; 0 if none is known."""
        return self._last.get(stream, 0)

    def forget(self, stream: str) -> None:
        """Forgets the sequences of a stream: it is another one than before."""
        self._last.pop(stream, None)

    def first_of_new(self, stream: str) -> int | None:
        """Where a stream begins that is created now: behind all that one of its name may have had;
        None if there was none."""
        last = self.last(stream)
        return last + SEQ_MARGIN if last else None
