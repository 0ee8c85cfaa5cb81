"""The messages for the subscribers of a stream: events, each encoded once for all, and gaps."""

from event_gateway.core.cloudevents.enrichment import without_others
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.streaming.event_stream import event_block


class StreamMessage:
    """A sequence of a stream, and the event there.

    ``received`` is None where there is no event. The stream has then dropped the messages from
    ``missed`` to ``seq`` before they could be read; with ``missed`` 0 nothing was lost.
    ``verdicts``: whether the event passes a selection, by the encoded selection.
    """

    __slots__ = (
        "_alone", "_enveloped", "_json", "_sse", "missed", "received", "seq", "subject", "verdicts",
    )  # fmt: skip

    def __init__(
        self, seq: int, subject: str = "", received: Received | None = None, missed: int = 0
    ) -> None:
        self.seq = seq
        self.subject = subject
        self.received = received
        self.missed = missed
        self.verdicts: dict[bytes, bool] | None = None
        self._alone: StreamMessage | None = None
        self._json: bytes | None = None
        self._enveloped: bytes | None = None
        self._sse: bytes | None = None

    @property
    def size(self) -> int:
        """The approximate size in memory, in bytes."""
        return 512 + (len(self.received.event.data) * 4 if self.received is not None else 0)

    def alone(self) -> "StreamMessage":
        """The message for subscribers that may not see every event: its enrichment names no other
        event."""
        if self._alone is None:
            received = self.received
            assert received is not None
            event = without_others(received)
            self._alone = StreamMessage(
                self.seq, self.subject,
                Received(event, received.stream, received.seq, received.time, received.origin),
            )  # fmt: skip
        return self._alone

    def json(self) -> bytes:
        """The event in the JSON format of CloudEvents."""
        if self._json is None:
            assert self.received is not None
            self._json = to_structured(self.received.enriched or self.received.event)
        return self._json

    def enveloped(self) -> bytes:
        """The end of an event's frame on a connection with several subscriptions."""
        if self._enveloped is None:
            self._enveloped = b'%d,"event":%b}' % (self.seq, self.json())
        return self._enveloped

    def sse(self) -> bytes:
        """The event as a Server-Sent Event."""
        if self._sse is None:
            self._sse = event_block(self.seq, self.json())
        return self._sse
