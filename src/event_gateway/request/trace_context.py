"""The trace headers of a request: ``traceparent`` and ``tracestate`` (W3C Trace Context)."""

from random import getrandbits

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.trace_context import trace_of


def trace_lines(received: Received | None, span: str = "") -> bytes:
    """The header lines: a span in the event's trace, a new one by default; in a new trace if there
    is no one event."""
    # The ids need not be unpredictable, only distinct; an id of zeros would be invalid.
    span = span or f"{getrandbits(64) or 1:016x}"
    if received is None:
        return f"traceparent: 00-{getrandbits(128) or 1:032x}-{span}-01\r\n".encode()
    trace = trace_of(received)
    line = f"traceparent: 00-{trace.trace_id}-{span}-{trace.flags}\r\n"
    if trace.state is not None:
        line += f"tracestate: {trace.state}\r\n"
    return line.encode()
