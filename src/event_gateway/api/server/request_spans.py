"""The span of each call of the API, by OpenTelemetry's conventions for HTTP servers."""

import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from event_gateway.api.access.request_id import REQUEST_ID
from event_gateway.api.http.exchange import HEAD_ONLY
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.trace_context import (
    TraceContext,
    context_in,
    trace_by_identity,
)
from event_gateway.observability.tracing.spans import (
    MAX_VALUE,
    Span,
    SpanKind,
    Tracer,
    Tracing,
    new_span,
    new_trace,
)

EVENTS = "/v1/events"  # which has no route on its way, as the hot path
PREFIX = "/v1/"  # of the paths whose requests have spans: not health checks, scrapes and documents
SPAN = "event_gateway.span"  # the key of the ASGI scope under which a request's RequestSpan is
# The clients of these answers are unknown, or call too often: they do not fill the collector.
UNRECORDED = (401, 429)
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
_Trace = tuple[TraceContext | None, tuple[str, str] | None]


class RequestSpan:
    """The span of a request that is being answered.

    ``trace`` is that of the request's headers. Where they have none, one event of the request may
    decide it, else it begins here.
    """

    __slots__ = ("_given", "_span_id", "_start", "_tracer", "trace")

    def __init__(self, tracer: Tracer, headers: Mapping[str, str]) -> None:
        self._tracer = tracer
        self._span_id = new_span()
        self._start = time.time()
        self._given = self.trace = context_in(headers)

    def of_events(self, events: Sequence[Event]) -> _Trace:
        """The trace that goes on with the events of the request: this span, as their parent; or
        None and this span's ids as a link, if they have traces of their own."""
        if self.trace is None:
            self.trace = _trace_of(events)
            own_traces = len(events) != 1
        else:
            own_traces = False
        if self._tracer.sampled(self.trace) is None:
            return self._given, None
        if own_traces:
            return None, (self.trace.trace_id, self._span_id)
        trace = self.trace
        return TraceContext(trace.trace_id, self._span_id, trace.flags, trace.state), None

    def record(
        self, name: str, attributes: dict[str, str | int], status: int | None, error: str
    ) -> None:
        """Records the span, if its trace is recorded. ``status``: of the response, None if there
        was none; ``error``: what failed in the gateway, empty if nothing did."""
        trace = self.trace or TraceContext(new_trace())
        if status in UNRECORDED or self._tracer.sampled(trace) is None:
            return
        if status is not None:
            attributes["http.response.status_code"] = status
        if error:
            attributes["error.type"] = error
        self._tracer.record(
            Span(
                name=name, kind=SpanKind.SERVER,
                trace_id=trace.trace_id, span_id=self._span_id, parent_id=trace.span_id,
                state=trace.state, start=self._start, end=time.time(), attributes=attributes,
                error=error,
            )
        )  # fmt: skip


class TracedApplication:
    """The ASGI application with a span for each call of the API; it costs nothing while traces are
    off."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answers a request."""
        tracer = self._tracing.tracer
        if tracer is None or not scope["path"].startswith(PREFIX):
            return self._app(scope, receive, send)
        return self._traced(tracer, scope, receive, send)

    async def _traced(self, tracer: Tracer, scope: Scope, receive: Receive, send: Send) -> None:
        span = scope[SPAN] = RequestSpan(tracer, Headers(scope=scope))
        status: int | None = None
        ended = False

        def end(error: str = "") -> None:
            nonlocal ended
            if not ended:
                ended = True
                _record(span, scope, status, error)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_endless(message.get("headers", ())):
                    end()  # with its beginning: it may go on for days
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except BaseException as error:
            if isinstance(error, Exception) and status is None:
                status = 500  # is what the outer layer answers
            end(type(error).__name__)
            raise
        end()


def attributes_of(
    method: str, route: str, path: str, peer: Peer, headers: Sequence[tuple[bytes, bytes]]
) -> dict[str, str | int]:
    """What the request itself says. Not its query, which may have a token."""
    known = method if method in _METHODS else "_OTHER"
    client = peer.client(headers)
    attributes: dict[str, str | int] = {
        "http.request.method": known,
        "url.scheme": client.scheme,
        "url.path": path[:MAX_VALUE],
        "network.protocol.name": "http",
    }
    if known != method:
        attributes["http.request.method_original"] = method[:MAX_VALUE]
    if route:
        attributes["http.route"] = route
    if client.address:
        attributes["client.address"] = client.address
    for name, value in headers:
        if name == b"user-agent":
            attributes["user_agent.original"] = value.decode("latin-1")[:MAX_VALUE]
        elif name == b"host":
            attributes |= _server(value.decode("latin-1")[:MAX_VALUE])
    return attributes


def span_name(method: str, route: str) -> str:
    """As the conventions ask for: few names, so without what is different in each request."""
    method = method if method in _METHODS else "HTTP"
    return f"{method} {route}" if route else method


def _record(span: RequestSpan, scope: Scope, status: int | None, error: str) -> None:
    method = "HEAD" if scope.get(HEAD_ONLY) else scope["method"]
    route = _route(scope)
    attributes = attributes_of(method, route, scope["path"], scope[PEER], scope["headers"])
    attributes["network.protocol.version"] = scope["http_version"]
    if REQUEST_ID in scope:
        attributes["event_gateway.request_id"] = scope[REQUEST_ID]
    if not error and status is not None and status >= 500:
        error = str(status)
    span.record(span_name(method, route), attributes, status, error)


def _route(scope: Scope) -> str:
    """The path of the route, with the names of its parameters; empty if there is no route."""
    route: Any = scope.get("route")
    if route is not None:
        return str(route.path)
    plain = scope["path"] == EVENTS or "endpoint" in scope  # a route without parameters
    return scope["path"] if plain else ""


def _server(host: str) -> dict[str, str | int]:
    address, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        return {"server.address": host}
    server: dict[str, str | int] = {"server.address": address}
    if port.isascii() and port.isdecimal():
        server["server.port"] = int(port)
    return server


def _is_endless(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in headers
    )


def _trace_of(events: Sequence[Event]) -> TraceContext:
    """The trace of a request without one: that of its only event, so that it is one."""
    if len(events) != 1:
        return TraceContext(new_trace())
    (event,) = events
    return context_in(event.extensions) or trace_by_identity(event)
