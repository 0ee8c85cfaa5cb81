"""The text that a Prometheus server reads: the Prometheus text format 0.0.4, or OpenMetrics 1.0.

Written here rather than by the client library, which takes twenty times as long for the series of
500 webhooks; its parsers read the text in the tests.
"""

import itertools
import math
from collections.abc import Callable, Iterator

from event_gateway.observability.metrics import families
from event_gateway.observability.metrics.family import Kind, MetricFamily
from event_gateway.observability.metrics.figures import (
    Exemplar,
    Histogram,
    WebhookMetrics,
    trace_id,
)
from event_gateway.observability.metrics.snapshot import Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def _number(value: float) -> str:
    """A number as both formats write it."""
    value = float(value)
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_BOUNDS = {
    family: [*map(_number, family.bounds), "+Inf"]
    for family in families.FAMILIES
    if family.kind is Kind.HISTOGRAM
}
HISTOGRAMS: dict[MetricFamily, Callable[[WebhookMetrics], Histogram]] = {
    families.DELIVERY_LATENCY: lambda webhook: webhook.latency,
    families.ATTEMPT_DURATION: lambda webhook: webhook.duration,
}


def wants_open_metrics(accept: str) -> bool:
    """Whether the header ``Accept`` prefers OpenMetrics to plain text (RFC 9110, 12.5.1)."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        media_type, *parameters = (text.strip().lower() for text in part.split(";"))
        if media_type in best:
            best[media_type] = max(best[media_type], _quality(parameters))
    return best["application/openmetrics-text"] > 0 and (
        best["application/openmetrics-text"] >= best["text/plain"]
    )


def text_of(snapshot: Snapshot, *, open_metrics: bool) -> bytes:
    """The text of all figures."""
    lines: list[str] = []
    for family in families.FAMILIES:
        samples = list(_samples(family, snapshot, exemplars=open_metrics))
        if samples:
            name = family.full_name if open_metrics else family.shown_name
            lines += (f"# HELP {name} {family.help}\n", f"# TYPE {name} {family.kind.value}\n")
            if open_metrics and family.unit:
                lines.append(f"# UNIT {name} {family.unit}\n")
            lines += samples
    if open_metrics:
        lines.append("# EOF\n")
    return "".join(lines).encode()


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _samples(family: MetricFamily, snapshot: Snapshot, *, exemplars: bool) -> Iterator[str]:
    if family.kind is Kind.HISTOGRAM:
        histogram_of = HISTOGRAMS[family]
        for label, webhook in snapshot.webhooks.items():
            yield from _histogram(family, label, histogram_of(webhook), exemplars=exemplars)
        return
    name = family.shown_name
    for labels, value in values_of(family, snapshot):
        if labels:
            pairs = ",".join(
                f'{key}="{text.translate(_ESCAPED)}"'
                for key, text in zip(family.labels, labels, strict=True)
            )
            yield f"{name}{{{pairs}}} {_number(value)}\n"
        else:
            yield f"{name} {_number(value)}\n"


def values_of(family: MetricFamily, snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], float]]:
    """The series of a counter or a gauge; some are among what each webhook counts."""
    webhooks = snapshot.webhooks.items()
    if family is families.DELIVERIES:
        for label, webhook in webhooks:
            yield from (((label, key), number) for key, number in webhook.outcomes.items())
    elif family is families.ATTEMPTS:
        for label, webhook in webhooks:
            yield from (((label, key), number) for key, number in webhook.attempts.items())
    elif family is families.EXPRESSION_ERRORS:
        yield from (((key,), each.expression_errors) for key, each in webhooks
                    if each.expression_errors)  # fmt: skip
    elif family is families.LAST_SUCCESS:
        yield from (((key,), each.last_success) for key, each in webhooks if each.last_success)
    elif family is families.LAST_FAILURE:
        yield from (((key,), each.last_failure) for key, each in webhooks if each.last_failure)
    else:
        yield from snapshot.values.get(family.full_name, {}).items()


def _histogram(
    family: MetricFamily, label: str, histogram: Histogram, *, exemplars: bool
) -> Iterator[str]:
    name, escaped = family.full_name, label.translate(_ESCAPED)
    begin = f'{name}_bucket{{webhook="{escaped}",le="'
    total = 0
    counts = itertools.accumulate(histogram.counts)
    for index, (bound, total) in enumerate(zip(_BOUNDS[family], counts, strict=True)):
        exemplar = histogram.exemplars.get(index) if exemplars else None
        shown = _shown(exemplar) if exemplar is not None else ""
        yield f'{begin}{bound}"}} {total}.0{shown}\n'
    yield f'{name}_count{{webhook="{escaped}"}} {total}.0\n'
    yield f'{name}_sum{{webhook="{escaped}"}} {_number(histogram.sum)}\n'


def _shown(exemplar: Exemplar) -> str:
    value, at, traceparent = exemplar
    trace = trace_id(traceparent)
    return "" if trace is None else f' # {{trace_id="{trace}"}} {_number(value)} {at:.3f}'
