"""Telemetry as the configuration wants it: how the process logs, and what goes to a collector."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from event_gateway import __version__
from event_gateway.beats import beat
from event_gateway.config.model import Config
from event_gateway.config.telemetry_model import TelemetryModel
from event_gateway.observability.logs import LogSettings
from event_gateway.observability.metrics import Metrics, as_otlp
from event_gateway.observability.tracing.otlp import Collector, OtlpExport, installed
from event_gateway.observability.tracing.spans import Tracer, Tracing

LOOK = 1.0  # seconds between two looks whether metrics are due
NOT_INSTALLED = "needs the packages of the extra otel: pip install 'event-gateway[otel]'"


def log_settings(config: Config) -> LogSettings:
    """How this process logs."""
    return LogSettings(config.telemetry.logs.level, config.telemetry.logs.format)


def telemetry_problems(config: Config) -> Iterable[tuple[str, str]]:
    """What cannot work: pairs of key and reason."""
    otlp = config.telemetry.otlp
    if otlp is not None:
        if not installed(otlp.protocol):
            yield "telemetry.otlp", NOT_INSTALLED
        if otlp.ca and not Path(config.secrets.dir, otlp.ca).is_file():
            yield "telemetry.otlp.ca", f"there is no file {Path(config.secrets.dir, otlp.ca)}"


class Telemetry:
    """Sends traces and metrics of this process to a collector, if there is one."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = time.time_ns()
        self._sent_at = time.monotonic()
        self._export: OtlpExport | None = None
        self._interval = 0.0
        self.tracing = Tracing()
        self._apply(config)

    async def configure(self, config: Config, former: Config) -> None:
        """Applies another configuration. What is queued goes to the former collector."""
        if _of_export(config) != _of_export(former):
            await self.stop()
            self._apply(config)

    async def run(self) -> None:
        """Sends the metrics each interval, for ever, and counts what became of spans."""
        while True:
            await beat(LOOK)
            self._count_spans()
            now = time.monotonic()
            if self._interval and now - self._sent_at >= self._interval:
                self._sent_at = now
                self._send_metrics()

    async def stop(self) -> None:
        """Sends what is queued, within a few seconds."""
        export, self._export = self._export, None
        self.tracing.use(None)
        if export is not None:
            if self._interval:
                self._send_metrics_to(export)
            await asyncio.to_thread(export.stop)
            self._count_spans_of(export)

    def _apply(self, config: Config) -> None:
        otlp, telemetry = config.telemetry.otlp, config.telemetry
        self._interval = 0.0
        if otlp is None:
            return
        tracer = Tracer(telemetry.traces.sampling) if telemetry.traces.enabled else None
        collector = Collector(
            otlp.endpoint,
            otlp.protocol,
            tuple(otlp.headers.items()),
            str(Path(config.secrets.dir, otlp.ca)) if otlp.ca else "",
        )
        self._export = OtlpExport(collector, tracer, __version__)
        self._export.start()
        self.tracing.use(tracer)
        if telemetry.metrics.enabled:
            self._interval = telemetry.metrics.interval

    def _send_metrics(self) -> None:
        if self._export is not None:
            self._send_metrics_to(self._export)

    def _send_metrics_to(self, export: OtlpExport) -> None:
        snapshot, now = self._metrics.copied(), time.time_ns()
        export.send_metrics(
            lambda: as_otlp(snapshot, export.resource, export.scope, self._began, now)
        )

    def _count_spans(self) -> None:
        if self._export is not None:
            self._count_spans_of(self._export)

    def _count_spans_of(self, export: OtlpExport) -> None:
        for result, count in export.take_counts().items():
            if count:
                self._metrics.telemetry_spans(result, count)


def _of_export(config: Config) -> tuple[TelemetryModel, str]:
    logs = TelemetryModel().logs  # which are applied elsewhere
    return config.telemetry.model_copy(update={"logs": logs}), config.secrets.dir
