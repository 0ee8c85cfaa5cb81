"""The spans in which the router hands events to their webhooks."""

import time

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.trace_context import routing_span, trace_of
from event_gateway.observability.tracing.spans import (
    Span,
    SpanKind,
    Tracer,
    about,
)


def record_routing(tracer: Tracer, received: Received, webhooks: int, start: float) -> None:
    """Records that an event was routed to ``webhooks`` webhooks, if its trace is recorded."""
    if not tracer.begin(received):
        return
    trace = trace_of(received)
    tracer.record(
        Span(
            name=f"process {received.stream}", kind=SpanKind.CONSUMER,
            trace_id=trace.trace_id, span_id=routing_span(received),
            parent_id=trace.span_id, state=trace.state, start=start, end=time.time(),
            attributes=about(received.event) | {
                "messaging.system": "nats",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": received.stream,
                "event_gateway.seq": received.seq,
                "event_gateway.origin": received.origin[:64],
                "event_gateway.webhooks": webhooks,
                "event_gateway.waited_ms": max(0, round((start - received.time) * 1000)),
            },
        )
    )  # fmt: skip
