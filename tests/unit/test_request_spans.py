"""The spans of API calls: when one is recorded, and what it says."""

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from event_gateway.api.access.request_id import REQUEST_ID
from event_gateway.api.http.exchange import HEAD_ONLY
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.api.server.request_spans import RequestSpan, TracedApplication
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer, Tracing

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class _Route:
    path = "/v1/webhooks/{webhook_id}"


def _scope(path: str = "/v1/webhooks/crm", method: str = "GET", **headers: str) -> dict[str, Any]:
    given = {"host": "gateway.example:8443", "user-agent": "curl/8", **headers}
    return {
        "type": "http", "method": method, "path": path, "query_string": b"token=canary",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "http_version": "1.1", PEER: Peer("192.0.2.7", 4711),
    }  # fmt: skip


def _tracing(sampling: float = 1.0) -> Tracing:
    tracing = Tracing()
    tracing.use(Tracer(sampling))
    return tracing


async def _nothing(message: Any = None) -> Any:
    return {}


async def _call(
    scope: Scope, status: int = 200, tracing: Tracing | None = None, **how: Any
) -> list[Span]:
    """The spans of one request that a route answers with a status."""
    tracing = tracing or _tracing()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update({"route": _Route(), REQUEST_ID: "r-1"})
        if "raises" in how:
            raise how["raises"]
        headers = [(b"content-type", how.get("content_type", b"application/json"))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        how.get("meanwhile", lambda: None)()
        await send({"type": "http.response.body", "body": b"{}"})

    await TracedApplication(answer, tracing)(scope, _nothing, _nothing)
    assert tracing.tracer is not None
    return list(tracing.tracer.queue)


async def test_what_a_span_says() -> None:
    scope = _scope(traceparent=f"00-{TRACE}-{CALLER}-01", tracestate="vendor=1")
    (span,) = await _call(scope)
    assert (span.name, span.kind) == ("GET /v1/webhooks/{webhook_id}", SpanKind.SERVER)
    assert (span.trace_id, span.parent_id, span.state) == (TRACE, CALLER, "vendor=1")
    assert span.attributes == {
        "http.request.method": "GET", "http.route": "/v1/webhooks/{webhook_id}",
        "http.response.status_code": 200, "url.path": "/v1/webhooks/crm", "url.scheme": "http",
        "server.address": "gateway.example", "server.port": 8443, "client.address": "192.0.2.7",
        "network.protocol.name": "http", "network.protocol.version": "1.1",
        "user_agent.original": "curl/8", "event_gateway.request_id": "r-1",
    }  # fmt: skip
    assert span.error == ""
    (head,) = await _call(_scope() | {HEAD_ONLY: True})
    assert head.name.startswith("HEAD ")
    (odd,) = await _call(_scope(method="BREW", host="[::1]"))
    assert odd.name == "HTTP /v1/webhooks/{webhook_id}"
    assert odd.attributes["http.request.method_original"] == "BREW"
    assert odd.attributes["server.address"] == "[::1]"


async def test_what_failed_in_the_gateway_is_an_error_and_what_the_caller_did_wrong_is_none() -> (
    None
):
    (unavailable,) = await _call(_scope(), 503)
    assert (unavailable.error, unavailable.attributes["error.type"]) == ("503", "503")
    (invalid,) = await _call(_scope(), 422)
    assert (invalid.error, "error.type" in invalid.attributes) == ("", False)
    tracing = _tracing()
    with pytest.raises(LookupError):
        await _call(_scope(), tracing=tracing, raises=LookupError("canary"))
    assert tracing.tracer is not None
    (crashed,) = tracing.tracer.queue
    assert (crashed.error, crashed.attributes["http.response.status_code"]) == ("LookupError", 500)
    assert "canary" not in repr([unavailable, invalid, crashed])


async def test_who_has_spans() -> None:
    assert not await _call(_scope("/readyz"))
    assert not await _call(_scope(), 401)
    assert not await _call(_scope(), 429)
    assert not await _call(_scope(traceparent=f"00-{TRACE}-{CALLER}-00"))
    assert not await _call(_scope(), tracing=_tracing(0.0))
    assert await _call(_scope(traceparent=f"00-{TRACE}-{CALLER}-01"), tracing=_tracing(0.0))


async def test_the_span_of_an_endless_answer_ends_with_its_beginning() -> None:
    tracing = _tracing()
    during: list[int] = []
    spans = await _call(
        _scope(), tracing=tracing, content_type=b"text/event-stream; charset=utf-8",
        meanwhile=lambda: during.append(len(tracing.tracer.queue) if tracing.tracer else 0),
    )  # fmt: skip
    assert (during, len(spans)) == ([1], 1)


async def test_off_it_is_the_application_itself() -> None:
    called: list[Scope] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        called.append(scope)

    given = _scope()
    await TracedApplication(answer, Tracing())(given, _nothing, _nothing)
    assert called[0] is given
    assert given.keys() == _scope().keys()


def _event(**attributes: str) -> Event:
    attributes = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"} | attributes
    members = ",".join(f'"{name}":"{value}"' for name, value in attributes.items())
    return from_structured(f"{{{members}}}".encode())


def test_a_request_of_one_event_is_in_its_trace() -> None:
    def asked(tracer: Tracer, *events: Event, **headers: str) -> tuple[RequestSpan, Any, Any]:
        span = RequestSpan(tracer, headers)
        return span, *span.of_events(events)

    tracer = Tracer(1.0)
    named = _event(traceparent=f"00-{TRACE}-{CALLER}-01")
    span, goes_on, link = asked(tracer, named)
    assert (goes_on.trace_id, link) == (TRACE, None)
    assert goes_on.span_id not in ("", CALLER)  # the request's own, a child of the caller's
    assert span.trace is not None
    assert span.trace.span_id == CALLER
    _, first, _ = asked(tracer, _event())
    _, again, _ = asked(tracer, _event())
    assert first.trace_id == again.trace_id  # it follows from source and id
    # The headers are stronger than the attributes.
    other = "1" * 32
    _, goes_on, _ = asked(tracer, named, traceparent=f"00-{other}-{CALLER}-01")
    assert goes_on.trace_id == other
    # Several events have their own traces, unless the request has one.
    span, goes_on, link = asked(tracer, _event(), named)
    assert span.trace is not None
    assert (goes_on, link[0]) == (None, span.trace.trace_id)
    _, goes_on, link = asked(tracer, named, named, traceparent=f"00-{other}-{CALLER}-01")
    assert (goes_on.trace_id, link) == (other, None)
    # What is not recorded goes on as it came.
    assert asked(Tracer(0.0), _event())[1:] == (None, None)
    _, goes_on, _ = asked(tracer, _event(), traceparent=f"00-{other}-{CALLER}-00")
    assert (goes_on.span_id, goes_on.flags) == (CALLER, "00")
