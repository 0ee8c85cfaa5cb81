"""Exports spans and metrics by OTLP, with the exporters of OpenTelemetry, in a thread of its own.

The packages are an optional extra: nothing here is imported before telemetry is configured.
"""

import functools
import importlib.util
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from event_gateway.observability.tracing.spans import Span, SpanKind, Tracer

log = structlog.get_logger(__name__)

BATCH = 512  # spans of one request
INTERVAL = 1.0  # seconds between two exports of spans
TIMEOUT = 10  # seconds for a request to the collector, its retries included
FAREWELL = 3.0  # seconds at the end of the process for what is queued
SCOPE = "event_gateway"
INSTANCE = "service.instance.id"  # of each process its own, or their metrics would be one series
EXPORTERS = "opentelemetry.exporter.otlp.proto"  # below it a package for each protocol
TRACES, METRICS = "traces", "metrics"


@dataclass(frozen=True, slots=True)
class Collector:
    """Where telemetry goes. ``endpoint``: the base URL; ``protocol``: http or grpc; ``ca``: PEM
    of the authorities of its certificate, empty for those of the system."""

    endpoint: str
    protocol: str = "http"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca: str = ""


class _Exporter(Protocol):
    """What the exporters of both protocols have in common."""

    def export(self, batch: Any, /) -> Any: ...

    def shutdown(self) -> Any: ...


def installed(protocol: str) -> bool:
    """Whether the optional packages are there, for http or grpc."""
    try:
        return importlib.util.find_spec(f"{EXPORTERS}.{protocol}") is not None
    except ModuleNotFoundError:
        return False


class OtlpExport:
    """Sends the spans of a tracer, and metrics, to a collector.

    A collector that is away costs memory for a bounded number of spans, and a line in the log.
    """

    def __init__(self, collector: Collector, tracer: Tracer | None, version: str) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._tracer = tracer
        self.resource = (
            Resource.create(_resource(version))
            .merge(OTELResourceDetector().detect())  # the environment is stronger
            .merge(Resource({INSTANCE: f"{platform.node()}-{os.getpid()}"}))
        )
        self.scope = InstrumentationScope(SCOPE, version)
        self._spans = _span_exporter(collector) if tracer is not None else None
        self._metrics = _metric_exporter(collector)
        self._waiting_metrics: Callable[[], Any] | None = None  # the latest only
        self._counted: dict[str, int] = {}
        self._reasons = _last_reasons()
        self._failing: set[str] = set()  # what the collector does not take: traces, metrics
        self._ending = threading.Event()
        self.exported = 0  # spans
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Sends what is queued, for at most FAREWELL seconds. It blocks."""
        self._ending.set()
        useless = TRACES in self._failing or (self._spans is None and METRICS in self._failing)
        self._thread.join(0.0 if useless else FAREWELL)
        for exporter in (self._spans, self._metrics):
            if exporter is not None:
                exporter.shutdown()

    def send_metrics(self, make: Callable[[], Any]) -> None:
        """Sends the metrics (MetricsData) that ``make`` makes in the thread, in place of those that
        still wait."""
        self._waiting_metrics = make

    def take_counts(self) -> dict[str, int]:
        """How many spans were exported, failed and dropped since the last call."""
        dropped = 0 if self._tracer is None else self._tracer.dropped
        now = {"exported": self.exported, "failed": self.failed, "dropped": dropped}
        counts = {result: now[result] - self._counted.get(result, 0) for result in now}
        self._counted = now
        return counts

    def _run(self) -> None:
        while not self._ending.wait(INTERVAL):
            self._send()
        self._send(until=time.monotonic() + FAREWELL)

    def _send(self, until: float | None = None) -> None:
        try:
            self._send_queued(until)
        except Exception:  # a fault of the gateway: the thread goes on
            log.exception("telemetry cannot be sent")

    def _send_queued(self, until: float | None) -> None:
        metrics, self._waiting_metrics = self._waiting_metrics, None
        if metrics is not None:
            self._export(METRICS, self._metrics, metrics)
        while self._tracer is not None and self._tracer.queue:
            queue = self._tracer.queue
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            assert self._spans is not None
            if self._export(TRACES, self._spans, functools.partial(self._as_sdk, batch)):
                self.exported += len(batch)
            else:
                self.failed += len(batch)
            if until is not None and time.monotonic() > until:
                break

    def _export(self, what: str, exporter: _Exporter, make: Callable[[], Any]) -> bool:
        try:
            done = bool(exporter.export(make()).name == "SUCCESS")
        except Exception as error:  # of a library, about a collector
            self._reasons.last, done = str(error) or type(error).__name__, False
        if not done and what not in self._failing:
            self._failing.add(what)
            log.warning("telemetry cannot be exported", reason=f"{what}: {self._reasons.last}")
        elif done and what in self._failing:
            self._failing.discard(what)
            log.info("telemetry is exported again", reason=what)
        return done

    def _as_sdk(self, batch: Sequence[Span]) -> list[Any]:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import (
            Link,
            SpanContext,
            Status,
            StatusCode,
            TraceFlags,
            TraceState,
        )
        from opentelemetry.trace import SpanKind as OtelKind

        kinds = {kind: OtelKind[kind.name] for kind in SpanKind}
        flags, failed, unset = TraceFlags(1), StatusCode.ERROR, Status(StatusCode.UNSET)

        def context(trace_id: str, span_id: str, state: TraceState | None = None) -> SpanContext:
            return SpanContext(int(trace_id, 16), int(span_id, 16), False, flags, state)

        def state_of(span: Span) -> TraceState | None:
            return TraceState.from_header([span.state]) if span.state else None

        return [
            ReadableSpan(
                span.name,
                context=context(span.trace_id, span.span_id, state_of(span)),
                parent=context(span.trace_id, span.parent_id) if span.parent_id else None,
                resource=self.resource,
                attributes=span.attributes,
                links=[Link(context(*ids)) for ids in span.links],
                kind=kinds[span.kind],
                status=Status(failed, span.error) if span.error else unset,
                start_time=int(span.start * 1e9),
                end_time=int(span.end * 1e9),
                instrumentation_scope=self.scope,
            )
            for span in batch
        ]


def _resource(version: str) -> dict[str, str]:
    return {
        "service.name": "event-gateway",
        "service.version": version,
        "host.name": platform.node(),
    }


def _span_exporter(collector: Collector) -> _Exporter:
    exporter: _Exporter
    if collector.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(**_grpc(collector))
    else:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter

        exporter = trace_exporter.OTLPSpanExporter(**_http(collector, "traces"))
    return exporter


def _metric_exporter(collector: Collector) -> _Exporter:
    exporter: _Exporter
    if collector.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter(**_grpc(collector))
    else:
        from opentelemetry.exporter.otlp.proto.http import metric_exporter

        exporter = metric_exporter.OTLPMetricExporter(**_http(collector, "metrics"))
    return exporter


def _http(collector: Collector, what: str) -> dict[str, Any]:
    return {
        "endpoint": f"{collector.endpoint.rstrip('/')}/v1/{what}",
        "headers": dict(collector.headers),
        "timeout": TIMEOUT,
        **({"certificate_file": collector.ca} if collector.ca else {}),
    }


def _grpc(collector: Collector) -> dict[str, Any]:
    import grpc

    secure = collector.endpoint.startswith("https://")
    authorities = Path(collector.ca).read_bytes() if collector.ca else None
    return {
        "endpoint": collector.endpoint,
        "insecure": not secure,
        "credentials": grpc.ssl_channel_credentials(authorities) if secure else None,
        "headers": tuple((name.lower(), value) for name, value in collector.headers),
        "timeout": TIMEOUT,
    }


class _Reasons(logging.Handler):
    """Remembers what the exporters log, which is the only way to learn why they failed. Their own
    lines, several for each batch, are not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()[:500]


def _last_reasons() -> _Reasons:
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    reasons = _Reasons()
    logger.handlers = [reasons]
    return reasons
