"""A collector that decodes what it gets by OTLP, over HTTP and over gRPC."""

import asyncio
import contextlib
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from support.patience import PATIENCE
from support.receiver import serving


@dataclass
class CollectedSpan:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: dict[str, Any]
    failed: bool
    links: list[tuple[str, str]]
    state: str
    resource: dict[str, Any]


@dataclass
class OtlpCollector:
    """``url``: its base URL. ``status``: of its HTTP responses; ``refused``: the paths that it does
    not have. ``headers``: those of the last request. ``requests``: how many, of each path."""

    url: str = ""
    status: int = 200
    refused: tuple[str, ...] = ()
    spans: list[CollectedSpan] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def take_spans(self, request: ExportTraceServiceRequest) -> None:
        """Stores the spans of a request."""
        for of_resource in request.resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [_span(span, resource) for span in scope.spans]

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Stores the latest metrics, by name."""
        for of_resource in request.resource_metrics:
            for scope in of_resource.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}

    async def until(self, count: int, **conditions: str) -> list[CollectedSpan]:
        """Waits for ``count`` spans with these fields or attributes (dots as __)."""

        def fits(span: CollectedSpan, name: str, value: str) -> bool:
            if name in ("name", "trace_id"):
                return bool(getattr(span, name) == value)
            return bool(span.attributes.get(name.replace("__", ".")) == value)

        async with asyncio.timeout(PATIENCE):
            while True:
                found = [
                    span
                    for span in self.spans
                    if all(fits(span, name, value) for name, value in conditions.items())
                ]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests[scope["path"]] += 1
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        status = 404 if scope["path"] in self.refused else self.status
        if status == 200:
            if scope["path"] == "/v1/traces":
                self.take_spans(ExportTraceServiceRequest.FromString(body))
            elif scope["path"] == "/v1/metrics":
                self.take_metrics(ExportMetricsServiceRequest.FromString(body))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[OtlpCollector]:
    """A collector over HTTP."""
    collector = OtlpCollector()
    async with serving(collector.serve) as url:
        collector.url = url
        yield collector


@contextlib.asynccontextmanager
async def collecting_grpc() -> AsyncIterator[OtlpCollector]:
    """A collector over gRPC."""
    collector = OtlpCollector()

    class Traces(TraceServiceServicer):  # type: ignore[misc]
        def Export(self, request: Any, context: Any) -> Any:
            collector.headers = dict(context.invocation_metadata())
            collector.take_spans(request)
            return ExportTraceServiceResponse()

    class Figures(MetricsServiceServicer):  # type: ignore[misc]
        def Export(self, request: Any, context: Any) -> Any:
            collector.take_metrics(request)
            return ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(Traces(), server)
    add_MetricsServiceServicer_to_server(Figures(), server)
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        await asyncio.to_thread(server.stop(None).wait)


def _span(span: Any, resource: dict[str, Any]) -> CollectedSpan:
    return CollectedSpan(
        span.name, span.kind, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
        span.start_time_unix_nano, span.end_time_unix_nano, _attributes(span.attributes),
        span.status.code == 2, [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.trace_state, resource,
    )  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
