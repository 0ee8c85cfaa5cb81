"""Trace contexts as W3C Trace Context has them, and which traces are recorded."""

import pytest

from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.cloudevents.trace_context import (
    TraceContext,
    read_context,
    routing_span,
    trace_of,
)
from event_gateway.core.webhook.delivery import Delivery
from event_gateway.delivery.attempt_spans import exemplar_of
from event_gateway.delivery.job import Job
from event_gateway.ingest.publish_spans import MAX_STATE, headers_of
from event_gateway.observability.tracing import spans
from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER = "f" * 32


def _received(event_id: str = "1", **extensions: str) -> Received:
    return Received(Event(event_id, "/s", "t", extensions=dict(extensions)), "S", 1, 0.0)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),  # only two bits are defined
        (f"01-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", "01"),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"00-{TRACE}-{SPAN}-01 ", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f"01-{TRACE}-{SPAN}-01x", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE[1:]}-{SPAN}-01", None),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 100_000, None),
        ("", None),
    ],
    ids=lambda value: str(value)[:64],
)
def test_a_traceparent(text: str, flags: str | None) -> None:
    context = read_context(text)
    if flags is None:
        assert context is None
    else:
        assert context is not None
        assert (context.trace_id, context.span_id, context.flags) == (TRACE, SPAN, flags)


def test_the_message_comes_before_the_attributes() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"s","type":"t","traceparent":"00-%b-%b-01"}' % (
        OTHER.encode(), SPAN.encode(),
    )  # fmt: skip
    headers = {"Traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "a=1"}

    def trace(headers: dict[str, str] | None) -> tuple[str, str, str | None]:
        received = from_message(headers, body, subject="t", stream="S", seq=1, time=0.0)
        found = trace_of(received)
        return found.trace_id, found.flags, found.state

    assert trace(headers) == (TRACE, "00", "a=1")
    assert trace(None) == (OTHER, "01", None)
    assert trace({"traceparent": "nonsense"}) == (OTHER, "01", None)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1", "a=1"),
        ("a=" + "1" * (MAX_STATE - 2), "a=" + "1" * (MAX_STATE - 2)),
        ("a=1,b=" + "2" * (MAX_STATE - 6) + ",c=3", "a=1,b=" + "2" * (MAX_STATE - 6)),
        ("a=1,b=2,c=" + "3" * MAX_STATE, "a=1,b=2"),
        ("a=" + "1" * MAX_STATE, None),
        (None, None),
    ],
    ids=lambda value: str(value)[:16],
)
def test_a_long_tracestate_loses_its_last_members_in_the_log(
    state: str | None, kept: str | None
) -> None:
    headers = headers_of(TraceContext(TRACE, SPAN, state=state))
    assert headers["traceparent"] == f"00-{TRACE}-{SPAN}-01"
    assert headers.get("tracestate") == kept


def test_an_event_without_a_trace_has_always_the_same() -> None:
    first, again, other = _received(), _received(), _received("2")
    assert trace_of(first) == trace_of(again) != trace_of(other)
    assert routing_span(first) == routing_span(again) != routing_span(other)
    assert trace_of(first).span_id == ""
    assert trace_of(_received(traceparent="no")) == trace_of(first)


def test_an_exemplar_names_a_trace_that_is_recorded() -> None:
    def exemplar(span: str = "", **extensions: str) -> str | None:
        received = _received(**extensions)
        trace_of(received)
        return exemplar_of(Job(Delivery("w", "1", "/s", "S", 1, ""), received, span=span))

    assert exemplar() is None
    assert exemplar(traceparent=f"00-{TRACE}-{SPAN}-00") is None
    assert exemplar(traceparent=f"00-{TRACE}-{SPAN}-01") == f"00-{TRACE}-{SPAN}-01"
    assert exemplar("a" * 16, traceparent=f"00-{TRACE}-{SPAN}-01") == f"00-{TRACE}-{'a' * 16}-01"


def test_sampling() -> None:
    asked = _received(traceparent=f"00-{TRACE}-{SPAN}-01")
    not_asked = _received(traceparent=f"00-{TRACE}-{SPAN}-00")
    for sampling in (0.0, 0.5, 1.0):
        tracer = Tracer(sampling)
        assert len(tracer.begin(asked)) == 16
        assert tracer.begin(not_asked) == ""
    assert trace_of(asked).flags == "01"
    events = [_received(str(number)) for number in range(2000)]
    recorded = [event for event in events if Tracer(0.25).begin(event)]
    assert 400 < len(recorded) < 600
    assert {trace_of(event).flags for event in events if event not in recorded} == {"00"}
    assert not [event for event in events if Tracer(0.0).begin(event)]
    # Each process decides alike.
    assert [event for event in map(_received, map(str, range(2000))) if Tracer(0.25).begin(event)]


def test_spans_that_cannot_be_exported_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MAX_QUEUED", 3)
    tracer = Tracer(1.0)
    for number in range(5):
        tracer.record(
            Span(name=str(number), kind=SpanKind.CLIENT, trace_id=TRACE, span_id=SPAN,
                 parent_id="", state=None, start=0.0, end=1.0, attributes={})
        )  # fmt: skip
    assert ([span.name for span in tracer.queue], tracer.dropped) == (["0", "1", "2"], 2)
