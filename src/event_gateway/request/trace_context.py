"""The trace headers of a request: ``traceparent`` and ``tracestate`` (W3C Trace Context)."""

import re
from random import getrandbits

from event_gateway.core.cloudevents.event import Event

# Version 00 with valid ids, and the characters of any tracestate.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,4096}")


def trace_lines(event: Event | None) -> bytes:
    """The header lines: a new span in the event's trace, or a new trace if the event has none."""
    extensions = event.extensions if event else {}
    parent = extensions.get("traceparent")
    # The ids need not be unpredictable, only distinct; an id of zeros would be invalid.
    span = getrandbits(64) or 1
    if not isinstance(parent, str) or _TRACEPARENT.fullmatch(parent) is None:
        return b"traceparent: 00-%032x-%016x-01\r\n" % (getrandbits(128) or 1, span)
    line = b"traceparent: %b%016x%b\r\n" % (parent[:36].encode(), span, parent[52:].encode())
    state = extensions.get("tracestate")
    if isinstance(state, str) and _TRACESTATE.fullmatch(state):
        line += b"tracestate: %b\r\n" % state.encode()
    return line
