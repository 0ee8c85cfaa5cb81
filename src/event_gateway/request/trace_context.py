"""The trace headers of a request: ``traceparent`` and ``tracestate`` (W3C Trace Context)."""

from random import getrandbits

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.trace_context import trace_of


def trace_lines(received: Received | None) -> bytes:
    """The header lines: a new span in the event's trace; in a new trace if there is no one
    event."""
    # The ids need not be unpredictable, only distinct; an id of zeros would be invalid.
    span = getrandbits(64) or 1
    if received is None:
        return b"traceparent: 00-%032x-%016x-01\r\n" % (getrandbits(128) or 1, span)
    trace = trace_of(received)
    line = f"traceparent: 00-{trace.trace_id}-{span:016x}-{trace.flags}\r\n"
    if trace.state is not None:
        line += f"tracestate: {trace.state}\r\n"
    return line.encode()
