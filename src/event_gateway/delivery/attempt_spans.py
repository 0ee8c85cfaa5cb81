"""The spans of attempts and of dead letters."""

import time

from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.cloudevents.trace_context import routing_span, trace_of
from event_gateway.core.webhook.delivery import Attempt
from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane
from event_gateway.observability.tracing.spans import (
    Span,
    SpanKind,
    Tracer,
    about,
    new_span,
    new_trace,
)

MAX_LINKS = 128  # of a request to the spans of its events


def begin_attempt(tracer: Tracer, jobs: list[Job]) -> str:
    """Gives each job whose trace is recorded a span. Returns the ``traceparent`` of a request of
    several events, which is a trace of its own; empty for that of one event."""
    for job in jobs:
        job.span = tracer.begin(job.received)
    if len(jobs) == 1:
        return ""
    recorded = any(job.span for job in jobs)
    traceparent = f"00-{new_trace()}-{new_span()}-{'01' if recorded else '00'}"
    for job in jobs:
        job.request_trace = traceparent
    return traceparent


def exemplar_of(job: Job) -> str | None:
    """The ``traceparent`` of a trace that is recorded, as far as the gateway knows."""
    trace = job.received.trace
    if trace is None or not (job.span or (trace.span_id and trace.sampled)):
        return None
    return trace.traceparent(job.span or trace.span_id)


def end_attempt(tracer: Tracer, lane: Lane, job: Job, attempt: Attempt, end: float) -> None:
    """Records the attempt of one event."""
    trace = trace_of(job.received)
    attributes = _of_webhook(lane) | about(job.received.event)
    attributes["http.request.resend_count"] = attempt.number - 1
    attributes["event_gateway.run"] = job.delivery.run
    if attempt.status_code is not None:
        attributes["http.response.status_code"] = attempt.status_code
    if attempt.error_type is not None:
        attributes["error.type"] = attempt.error_type
    tracer.record(
        Span(
            name=f"send {lane.webhook.id}", kind=SpanKind.CLIENT,
            trace_id=trace.trace_id, span_id=job.span, parent_id=routing_span(job.received),
            state=trace.state, start=job.started, end=end, attributes=attributes,
            error=attempt.error_type or "",
            links=(_ids_in(job.request_trace),) if job.request_trace else (),
        )
    )  # fmt: skip
    job.span = ""


def record_request(tracer: Tracer, lane: Lane, jobs: list[Job], error: str) -> None:
    """Records the one request of several events, with links to their attempts. ``error`` is empty
    if the receiver took it."""
    trace_id, span_id = _ids_in(jobs[0].request_trace)
    attributes = _of_webhook(lane) | {"messaging.batch.message_count": len(jobs)}
    if error:
        attributes["error.type"] = error
    tracer.record(
        Span(
            name=f"send {lane.webhook.id}", kind=SpanKind.CLIENT,
            trace_id=trace_id, span_id=span_id, parent_id="", state=None,
            start=jobs[0].started, end=time.time(), attributes=attributes, error=error,
            links=tuple(
                (trace_of(job.received).trace_id, job.span) for job in jobs[:MAX_LINKS] if job.span
            ),
        )
    )  # fmt: skip


def record_dead_letter(tracer: Tracer, job: Job, reason: str, seq: int, start: float) -> None:
    """Records that a dead letter was written, if the trace of its event is recorded."""
    span_id = tracer.begin(job.received)
    if not span_id:
        return
    trace = trace_of(job.received)
    tracer.record(
        Span(
            name=f"publish {DEAD_LETTERS}", kind=SpanKind.PRODUCER,
            trace_id=trace.trace_id, span_id=span_id, parent_id=routing_span(job.received),
            state=trace.state, start=start, end=time.time(),
            attributes=about(job.received.event) | {
                "messaging.system": "nats",
                "messaging.operation.name": "publish",
                "messaging.operation.type": "send",
                "messaging.destination.name": DEAD_LETTERS,
                "event_gateway.webhook": job.delivery.webhook_id,
                "event_gateway.reason": reason,
                "event_gateway.seq": seq,
            },
        )
    )  # fmt: skip


def _ids_in(traceparent: str) -> tuple[str, str]:
    """The trace id and the span id: ``00-TRACE-SPAN-FLAGS``."""
    _, trace_id, span_id, _ = traceparent.split("-")
    return trace_id, span_id


def _of_webhook(lane: Lane) -> dict[str, str | int]:
    # Not the URL: its path and query may be a credential.
    webhook, target = lane.webhook, lane.builder.target
    return {
        "messaging.system": "event_gateway",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": webhook.id,
        "http.request.method": webhook.method,
        "server.address": target.host,
        "server.port": target.port,
        "url.scheme": target.scheme,
    }
