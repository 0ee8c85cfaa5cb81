"""The trace that an event's message in the log carries on, and the span of its publication."""

import time
from collections.abc import Awaitable, Callable

from event_gateway.broker.event_log import Appended
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.trace_context import (
    TraceContext,
    context_in,
    trace_by_identity,
)
from event_gateway.core.streams.definition import EVENTS
from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer, about, new_span

MAX_STATE = 512  # characters of ``tracestate`` that the log keeps, as W3C Trace Context asks for

Append = Callable[[dict[str, str] | None], Awaitable[Appended]]


def headers_of(trace: TraceContext) -> dict[str, str]:
    """The headers of a message that carry a context. Of a long ``tracestate`` they have as many
    members as there is room for: NATS counts headers to the size of a message."""
    headers = {"traceparent": trace.traceparent(trace.span_id)}
    state = trace.state
    if state is not None and len(state) > MAX_STATE:
        state = state[: MAX_STATE + 1].rpartition(",")[0]
    if state:
        headers["tracestate"] = state
    return headers


async def traced_append(
    tracer: Tracer, event: Event, request: TraceContext | None, append: Append
) -> Appended:
    """Appends an event, with the context of a new span in its message.

    The span is a child of the request's, else of the one that the event's attributes name.
    ``append`` takes the headers. Raises what it raises.
    """
    named = context_in(event.extensions) if event.extensions else None
    trace = request or named or trace_by_identity(event)
    if tracer.sampled(trace) is None:
        return await append(headers_of(request) if request is not None else None)
    span_id, start = new_span(), time.time()
    own = TraceContext(trace.trace_id, span_id, trace.flags, trace.state)
    error, appended = "", None
    try:
        appended = await append(headers_of(own))
        return appended
    except Exception as failed:
        error = type(failed).__name__
        raise
    finally:
        attributes = about(event) | {
            "messaging.system": "nats",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": EVENTS,
        }
        if appended is not None:
            attributes["event_gateway.seq"] = appended.seq
        elsewhere = named is not None and named.trace_id != trace.trace_id
        tracer.record(
            Span(
                name=f"publish {EVENTS}", kind=SpanKind.PRODUCER,
                trace_id=trace.trace_id, span_id=span_id, parent_id=trace.span_id,
                state=trace.state, start=start, end=time.time(), attributes=attributes,
                error=error,
                links=((named.trace_id, named.span_id),) if named and elsewhere else (),
            )
        )  # fmt: skip
