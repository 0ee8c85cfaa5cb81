"""The trace that an event's message in the log carries on, and the span of its publication."""

import time

from event_gateway.broker.event_log import Appended
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.trace_context import (
    TraceContext,
    context_in,
    trace_by_identity,
)
from event_gateway.core.streams.definition import EVENTS
from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer, about, new_span

Link = tuple[str, str]  # trace and span id
MAX_STATE = 512  # characters of ``tracestate`` that the log keeps, as W3C Trace Context asks for


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


class Publication:
    """The publication of one event, which is a span. ``headers``: those of its message."""

    __slots__ = ("_event", "_links", "_own", "_parent", "_start", "_tracer", "headers")

    def __init__(
        self, tracer: Tracer, event: Event, parent: TraceContext, links: tuple[Link, ...]
    ) -> None:
        self._tracer, self._event, self._parent, self._links = tracer, event, parent, links
        self._start = time.time()
        self._own = TraceContext(parent.trace_id, new_span(), parent.flags, parent.state)
        self.headers = headers_of(self._own)

    def ended(self, answer: Appended | Exception) -> None:
        """Records the span. ``answer``: where the event is in the log, or why it is not."""
        attributes = about(self._event) | {
            "messaging.system": "nats",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": EVENTS,
        }
        error = ""
        if isinstance(answer, Appended):
            attributes["event_gateway.seq"] = answer.seq
        else:
            error = type(answer).__name__
        parent = self._parent
        self._tracer.record(
            Span(
                name=f"publish {EVENTS}", kind=SpanKind.PRODUCER,
                trace_id=parent.trace_id, span_id=self._own.span_id, parent_id=parent.span_id,
                state=parent.state, start=self._start, end=time.time(), attributes=attributes,
                error=error, links=self._links,
            )
        )  # fmt: skip


def publication(
    tracer: Tracer, event: Event, request: TraceContext | None, link: Link | None = None
) -> Publication | None:
    """The publication of an event that begins now; None if it is not recorded.

    Its span is a child of the request's, else of the one that the event's attributes name, with a
    link to these if they are in another trace. ``link``: to the request, if it is no child of it.
    """
    named = context_in(event.extensions) if event.extensions else None
    parent = request or named or trace_by_identity(event)
    if tracer.sampled(parent) is None:
        return None
    links = () if link is None else (link,)
    if named is not None and named.trace_id != parent.trace_id:
        links = (*links, (named.trace_id, named.span_id))
    return Publication(tracer, event, parent, links)
