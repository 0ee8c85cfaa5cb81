"""What a stream's subscribers get: events, each encoded once for all of them, and gaps."""

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import to_structured


class StreamMessage:
    """A place in a stream and what is there.

    ``received`` is None where it holds no event: ``missed`` is then the first sequence of those up
    to ``seq`` that the log has dropped before they could be read, or 0 where there is nothing to
    tell. ``verdicts``: what was found of it, by what was asked.
    """

    __slots__ = ("_enveloped", "_json", "_sse", "missed", "received", "seq", "subject", "verdicts")

    def __init__(
        self, seq: int, subject: str = "", received: Received | None = None, missed: int = 0
    ) -> None:
        self.seq = seq
        self.subject = subject
        self.received = received
        self.missed = missed
        self.verdicts: dict[bytes, bool] | None = None
        self._json: bytes | None = None
        self._enveloped: bytes | None = None
        self._sse: bytes | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes to keep it."""
        return 512 + (len(self.received.event.data) * 4 if self.received is not None else 0)

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
        """The event as Server-Sent Events write it; JSON holds no line break."""
        if self._sse is None:
            self._sse = b"id: %d\ndata: %b\n\n" % (self.seq, self.json())
        return self._sse
