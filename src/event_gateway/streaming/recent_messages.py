"""The latest messages of a stream, for subscribers that were slow only for a moment."""

from bisect import bisect_right
from collections.abc import Sequence

from event_gateway.streaming.stream_message import StreamMessage

MESSAGES = 2048
BYTES = 4 * 1024 * 1024


class RecentMessages:
    """All messages after the sequence ``begin``, up to the last one added; bounded in number and
    bytes."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self._messages: list[StreamMessage] = []
        self._bytes = 0

    def add(self, messages: Sequence[StreamMessage]) -> None:
        """Adds messages, and drops the oldest beyond the bounds."""
        self._messages += messages
        self._bytes += sum(message.size for message in messages)
        if len(self._messages) <= MESSAGES and self._bytes <= BYTES:
            return
        # At least a half, so that this does not happen for each message.
        drop = 0
        while drop < len(self._messages) and (
            len(self._messages) - drop > MESSAGES // 2 or self._bytes > BYTES // 2
        ):
            self._bytes -= self._messages[drop].size
            drop += 1
        self.begin = self._messages[drop - 1].seq
        del self._messages[:drop]

    def after(self, position: int) -> list[StreamMessage] | None:
        """All messages after a sequence; None if some of them were dropped."""
        if position < self.begin:
            return None
        at = bisect_right(self._messages, position, key=lambda message: message.seq)
        return self._messages[at:]
