"""Messages of JetStream as a stream's subscribers get them: events, and gaps between them."""

from collections.abc import Callable, Sequence

from event_gateway.broker.pull import Pulled
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.streaming.stream_message import StreamMessage


class MessageBatches:
    """Makes the messages for subscribers from batches of a stream."""

    def __init__(self, decoder: EventDecoder) -> None:
        self._decoder = decoder

    async def read(
        self,
        source: str,
        batch: Sequence[Pulled],
        expected: int | None = None,
        interest: Callable[[str], bool] | None = None,
    ) -> list[StreamMessage]:
        """The messages of a batch of the JetStream stream ``source``; the last is at its end.

        If the first sequence is greater than ``expected``, or one is not followed by the next, the
        gap is among the messages; without ``expected`` gaps are left out. Subjects without
        ``interest`` and messages that are no events are left out, too: the router sets those aside.
        """
        of_interest = batch
        if interest is not None:
            of_interest = [pulled for pulled in batch if interest(pulled.subject)]
        decoded = await self._decoder.read(source, of_interest)
        messages = [
            StreamMessage(pulled.seq, pulled.subject, received)
            for pulled, received in decoded.events
        ]
        if expected is not None and (gaps := _gaps(batch, expected)):
            messages = sorted([*messages, *gaps], key=lambda message: message.seq)
        if batch and (not messages or messages[-1].seq != batch[-1].seq):
            messages.append(StreamMessage(batch[-1].seq))
        return messages


def _gaps(batch: Sequence[Pulled], expected: int) -> list[StreamMessage]:
    gaps = []
    for pulled in batch:
        if pulled.seq > expected:
            gaps.append(StreamMessage(pulled.seq - 1, missed=expected))
        expected = pulled.seq + 1
    return gaps
