"""Spans, as the stages record them: when one has ended, it goes into a bounded queue.

The ids of a span are made when it starts, so that its children can name it. Nothing is kept in the
context of a task, as an attempt is not a task.
"""

from collections import deque
from enum import Enum
from random import getrandbits

import msgspec
from msgspec.structs import replace

from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.trace_context import TraceContext, trace_of

MAX_QUEUED = 20_000  # spans that wait to be exported
MAX_VALUE = 256  # characters of an attribute whose value comes from outside the gateway
_ALL = 1 << 64


class SpanKind(Enum):
    """The kinds of OpenTelemetry that the gateway has."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    CLIENT = "client"
    SERVER = "server"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span that has ended. Ids in hex digits, ``parent_id`` is empty for a root; times in
    seconds since the epoch; ``error``: the kind of the failure, empty for success; ``links``:
    trace and span ids."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    parent_id: str
    state: str | None
    start: float
    end: float
    attributes: dict[str, str | int]
    error: str = ""
    links: tuple[tuple[str, str], ...] = ()


class Tracer:
    """Decides which traces are recorded, and queues their spans. ``sampling``: the share of the
    traces that begin in the gateway; of others their caller decides."""

    def __init__(self, sampling: float) -> None:
        self._below = round(sampling * _ALL)
        self.queue: deque[Span] = deque()
        self.dropped = 0  # spans that found the queue full

    def record(self, span: Span) -> None:
        """Queues a span."""
        if len(self.queue) >= MAX_QUEUED:
            self.dropped += 1
        else:
            self.queue.append(span)

    def sampled(self, trace: TraceContext) -> TraceContext | None:
        """The context with which a span of the trace is sent on; None if it is not recorded."""
        if trace.span_id:
            return trace if trace.sampled else None
        return trace if int(trace.trace_id[16:], 16) < self._below else None

    def begin(self, received: Received) -> str:
        """The id of a new span in the trace of an event; empty if it is not recorded, which its
        receivers are told."""
        trace = trace_of(received)
        if self.sampled(trace) is not None:
            return new_span()
        if trace.sampled:
            received.trace = replace(trace, flags="00")
        return ""


class Tracing:
    """The tracer of this process; None while traces are off."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None

    def use(self, tracer: Tracer | None) -> None:
        """Records spans with this tracer from now on; None: records none."""
        self.tracer = tracer


def new_span() -> str:
    """A span id. It need not be unpredictable."""
    return f"{getrandbits(64) or 1:016x}"


def new_trace() -> str:
    """A trace id."""
    return f"{getrandbits(128) or 1:032x}"


def about(event: Event) -> dict[str, str | int]:
    """The attributes of a span about an event, by the conventions for messaging and CloudEvents."""
    attributes: dict[str, str | int] = {
        "messaging.message.id": event.id[:MAX_VALUE],
        "cloudevents.event_id": event.id[:MAX_VALUE],
        "cloudevents.event_source": event.source[:MAX_VALUE],
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_type": event.type[:MAX_VALUE],
    }
    if event.subject is not None:
        attributes["cloudevents.event_subject"] = event.subject[:MAX_VALUE]
    correlation = event.extensions.get("correlationid")
    if correlation is not None:
        attributes["messaging.message.conversation_id"] = str(correlation)[:MAX_VALUE]
    return attributes
