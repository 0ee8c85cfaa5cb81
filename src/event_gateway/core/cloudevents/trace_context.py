"""The trace that an event belongs to (W3C Trace Context), by its message, its attributes, or its
identity."""

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from event_gateway.core.cloudevents.event import Event, Received

# Section 3.2: version, trace id, parent id, flags. A later version may have more behind them.
_TRACEPARENT = re.compile(
    r"(?:00|(?!ff|00)[0-9a-f]{2}(?=.{53}(?:-|\Z)))"
    r"-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})"
)
_MAX_TRACEPARENT = 256
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,4096}")
_digest = hashlib.blake2b(digest_size=24)
SAMPLED = "01"


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """A place in a trace: ``trace_id`` (32 hex digits), ``span_id`` (16; empty if no span has begun
    the trace), ``flags`` (2) and ``state``, the value of ``tracestate``."""

    trace_id: str
    span_id: str = ""
    flags: str = SAMPLED
    state: str | None = None

    @property
    def sampled(self) -> bool:
        """Whether the caller records this trace."""
        return int(self.flags, 16) & 1 == 1

    def traceparent(self, span_id: str) -> str:
        """The header's value, for a span in this trace."""
        return f"00-{self.trace_id}-{span_id}-{self.flags}"


def read_context(traceparent: Any, tracestate: Any = None) -> TraceContext | None:
    """The context in the values of two headers or attributes; None where they have none."""
    if not isinstance(traceparent, str) or len(traceparent) > _MAX_TRACEPARENT:
        return None
    found = _TRACEPARENT.match(traceparent)
    if found is None or (traceparent[:2] == "00" and len(traceparent) != found.end()):
        return None
    valid = isinstance(tracestate, str) and _TRACESTATE.fullmatch(tracestate)
    flags = f"{int(found[3], 16) & 3:02x}"  # the bits that are defined
    return TraceContext(found[1], found[2], flags, tracestate if valid else None)


def context_in(values: Mapping[str, Any]) -> TraceContext | None:
    """The context in headers or extension attributes, whose names are in lower case."""
    traceparent = values.get("traceparent")
    return None if traceparent is None else read_context(traceparent, values.get("tracestate"))


def trace_of(received: "Received") -> TraceContext:
    """The trace of an event: by the headers of its message, else by its attributes; else one that
    follows from its source and id, so that it is the same in all attempts of all processes."""
    trace = received.trace
    if trace is None:
        event = received.event
        trace = context_in(event.extensions) if event.extensions else None
        if trace is None:
            trace = TraceContext(_identity(event.source, event.id)[:32])  # trace_by_identity
        received.trace = trace
    return trace


def trace_by_identity(event: "Event") -> TraceContext:
    """The trace of an event whose publisher has begun none."""
    return TraceContext(_identity(event.source, event.id)[:32])


def routing_span(received: "Received") -> str:
    """The id of the span in which the gateway routes an event, the same in all processes."""
    return _identity(received.event.source, received.event.id)[32:]


def _identity(source: str, event_id: str) -> str:
    digest = _digest.copy()
    digest.update(f"{source}\0{event_id}".encode())
    return digest.hexdigest()
