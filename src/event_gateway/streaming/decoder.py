"""Messages of JetStream as a stream's subscribers get them: decoded and enriched."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from event_gateway.broker.named_streams import origin
from event_gateway.broker.provision import LIFECYCLE
from event_gateway.broker.pull import Pulled
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.streaming.stream_message import StreamMessage

Enrich = Callable[[Sequence[Received]], Awaitable[None]]
# Raises InvalidEvent where the router has set an event with these headers aside.
Admitted = Callable[[Received, Mapping[str, str] | None], None]


class Decoder:
    """Decodes batches of a stream as the router does."""

    def __init__(self, enrich: Enrich, admitted: Admitted) -> None:
        self._enrich = enrich
        self._admitted = admitted

    async def decode(
        self,
        source: str,
        batch: Sequence[Pulled],
        expected: int | None = None,
        interest: Callable[[str], bool] | None = None,
    ) -> list[StreamMessage]:
        """The messages of a batch of the JetStream stream ``source``; the last is at its end.

        Where the first is behind ``expected``, or another behind the one before it, a gap is among
        them; without ``expected`` none is. Subjects without ``interest`` are left out.
        """
        out: list[StreamMessage] = []
        events: list[Received] = []
        for pulled in batch:
            if expected is not None:
                if pulled.seq > expected:
                    out.append(StreamMessage(pulled.seq - 1, missed=expected))
                expected = pulled.seq + 1
            if interest is not None and not interest(pulled.subject):
                continue
            stream, seq = origin(pulled.headers) or (source, pulled.seq)
            try:
                received = from_message(
                    pulled.headers, pulled.data, subject=pulled.subject, stream=stream,
                    seq=seq, time=pulled.time,
                )  # fmt: skip
                if stream != LIFECYCLE:
                    self._admitted(received, pulled.headers)
            except InvalidEvent:
                continue  # the router sets it aside; for a subscriber it is no event
            out.append(StreamMessage(pulled.seq, pulled.subject, received))
            if stream != LIFECYCLE:
                events.append(received)
        if events:
            await self._enrich(events)
        if batch and (not out or out[-1].seq != batch[-1].seq):
            out.append(StreamMessage(batch[-1].seq))
        return out
