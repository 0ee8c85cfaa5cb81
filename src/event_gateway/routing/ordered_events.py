"""The events for one webhook, in the order of the log."""

from collections.abc import AsyncGenerator, Callable, Mapping

import structlog

from event_gateway.broker.connection import Broker
from event_gateway.broker.stream_follower import follow
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.enrichment import Enricher
from event_gateway.routing.index import Index, OnError

log = structlog.get_logger(__name__)

# Raises InvalidEvent where the router has set an event with these headers aside.
Admitted = Callable[[Received, Mapping[str, str] | None], None]


async def in_order(
    broker: Broker,
    enricher: Enricher,
    admitted: Admitted,
    on_error: OnError,
    webhook: Webhook,
    stream: str,
    from_seq: int,
) -> AsyncGenerator[tuple[list[Received], int]]:
    """Those events of a stream from a sequence on that match, batch by batch, and how far it has
    been read (0: nothing new). What is no event is the router's to set aside."""
    index = Index()
    index.put(webhook)
    async for batch in follow(broker, stream, from_seq=from_seq):
        events = []
        for pulled in batch:
            try:
                received = from_message(
                    pulled.headers, pulled.data, subject=pulled.subject, stream=stream,
                    seq=pulled.seq, time=pulled.time,
                )  # fmt: skip
                admitted(received, pulled.headers)
            except InvalidEvent:
                continue
            if matched(index, received, on_error):
                events.append(received)
        if events:
            await enricher.enrich(events)
        yield events, batch[-1].seq if batch else 0


def matched(index: Index, received: Received, on_error: OnError | None = None) -> list[Webhook]:
    """The webhooks that an event is for; none where a filter chokes on it, as the router tells."""
    try:
        return index.match(received, on_error)
    except Exception as error:
        log.debug("event cannot be matched", seq=received.seq, error=repr(error))
        return []
