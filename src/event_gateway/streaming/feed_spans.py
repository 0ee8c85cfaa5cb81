"""The spans in which a feed hands events to its live subscribers: one for each event, whatever the
number of subscribers."""

import time
from collections.abc import Iterable

from event_gateway.core.cloudevents.trace_context import trace_of
from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer, about
from event_gateway.streaming.stream_message import StreamMessage


def record_streaming(
    tracer: Tracer, source: str, messages: Iterable[StreamMessage], subscribers: int, start: float
) -> None:
    """Records that messages of the JetStream stream ``source`` went to ``subscribers`` live
    subscribers, for each message whose trace is recorded."""
    end = time.time()
    for message in messages:
        received = message.received
        if received is None or not (span_id := tracer.begin(received)):
            continue
        trace = trace_of(received)
        tracer.record(
            Span(
                name=f"stream {source}", kind=SpanKind.CONSUMER,
                trace_id=trace.trace_id, span_id=span_id, parent_id=trace.span_id,
                state=trace.state, start=start, end=end,
                attributes=about(received.event) | {
                    "messaging.system": "nats",
                    "messaging.operation.name": "stream",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": source,
                    "event_gateway.seq": message.seq,
                    "event_gateway.subscribers": subscribers,
                    "event_gateway.waited_ms": max(0, round((start - received.time) * 1000)),
                },
            )
        )  # fmt: skip
