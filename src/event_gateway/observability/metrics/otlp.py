"""The figures in the form of OTLP: nothing is counted twice."""

from typing import Any

from event_gateway.observability.metrics.exposition import HISTOGRAMS, values_of
from event_gateway.observability.metrics.families import FAMILIES
from event_gateway.observability.metrics.family import Kind, MetricFamily
from event_gateway.observability.metrics.snapshot import Snapshot


def as_otlp(snapshot: Snapshot, resource: Any, scope: Any, began: int, now: int) -> Any:
    """MetricsData of the SDK with the figures of a process. ``began``: when counting began,
    ``now``: both in nanoseconds since the epoch."""
    from opentelemetry.sdk.metrics import export as sdk

    metrics = []
    for family in FAMILIES:
        data = _data(family, snapshot, began, now)
        if data.data_points:
            metrics.append(sdk.Metric(family.shown_name, family.help, "", data))
    scopes = [sdk.ScopeMetrics(scope, metrics, "")]
    return sdk.MetricsData([sdk.ResourceMetrics(resource, scopes, "")])


def _data(family: MetricFamily, snapshot: Snapshot, began: int, now: int) -> Any:
    from opentelemetry.sdk.metrics import export as sdk

    cumulative = sdk.AggregationTemporality.CUMULATIVE
    if family.kind is Kind.HISTOGRAM:
        histograms = (
            (label, HISTOGRAMS[family](webhook)) for label, webhook in snapshot.webhooks.items()
        )
        return sdk.Histogram(
            [
                sdk.HistogramDataPoint(
                    {"webhook": label}, began, now,
                    count=sum(histogram.counts),
                    sum=histogram.sum,
                    bucket_counts=list(histogram.counts),
                    explicit_bounds=list(family.bounds),
                    min=None,  # not known, and left out
                    max=None,
                )
                for label, histogram in histograms
            ],
            cumulative,
        )  # fmt: skip
    points = [
        sdk.NumberDataPoint(dict(zip(family.labels, labels, strict=True)), began, now, value)
        for labels, value in values_of(family, snapshot)
    ]
    return sdk.Sum(points, cumulative, True) if family.kind is Kind.COUNTER else sdk.Gauge(points)
