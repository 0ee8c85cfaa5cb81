"""The events for one ordered webhook, in the order of the log."""

from collections.abc import AsyncGenerator

from event_gateway.broker.connection import Broker
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.routing.index import Index, OnError


class OrderedSource:
    """Reads a stream for one webhook at a time; ordered webhooks are not in the router's index.

    ``on_error`` gets the expressions that have no value for an event.
    """

    def __init__(self, broker: Broker, decoder: EventDecoder, on_error: OnError) -> None:
        self._broker = broker
        self._decoder = decoder
        self._on_error = on_error

    async def read(
        self, webhook: Webhook, stream: str, from_seq: int
    ) -> AsyncGenerator[tuple[list[Received], int]]:
        """The events of a stream that match a webhook, from a sequence on, enriched: batch by
        batch, each with the sequence up to which the stream has been read (0: nothing new).

        Messages that are no events are skipped: the router sets them aside.
        """
        index = Index()
        index.put(webhook)

        def matches(received: Received) -> bool:
            return bool(index.match_safely(received, self._on_error))

        async for batch in follow_stream(self._broker, stream, from_seq=from_seq):
            decoded = await self._decoder.read(stream, batch, matches)
            events = [received for _, received in decoded.events]
            yield events, batch[-1].seq if batch else 0
