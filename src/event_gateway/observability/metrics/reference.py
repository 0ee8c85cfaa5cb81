"""The reference page of the metrics, generated from their declarations.

``python -m event_gateway.observability.metrics.reference`` prints it.
"""

from event_gateway.observability.metrics.families import SECTIONS
from event_gateway.observability.metrics.family import Combine, Kind, MetricFamily

HEAD = """# Metrics

Generated from the code. `GET /metrics` shows them in the Prometheus text format, and in OpenMetrics
where `Accept` names `application/openmetrics-text`. How to scrape the gateway, and how labels are
bounded: [Read the metrics](../operations/metrics.md).

A counter and a histogram of a `serve --workers N` is the sum over its processes. The last column
says what a gauge is. Those that say *one process* are measured by one process of the whole gateway,
so that they are in the answer of one `serve` only: `max by (webhook) (event_gateway_queue_depth)`.
"""
_COMBINED = {
    Combine.SUM: "sum",
    Combine.MAX: "greatest",
    Combine.MIN: "smallest",
    Combine.LEADER: "one process",
}


def reference() -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for title, families in SECTIONS.items():
        rows = [_row(family) for family in families]
        parts.append(
            f"\n## {title}\n\n| metric | type | meaning | of several processes |\n"
            f"| --- | --- | --- | --- |\n{''.join(rows)}"
        )
    return "".join(parts)


def _row(family: MetricFamily) -> str:
    labels = "{" + ",".join(family.labels) + "}" if family.labels else ""
    text = family.help + (f" Only {family.when}." if family.when else "")
    if family.bounds:
        text += f" Buckets: {', '.join(f'{bound:g}' for bound in family.bounds)}."
    combined = _COMBINED[family.combine] if family.kind is Kind.GAUGE else "sum"
    return f"| `{family.shown_name}{labels}` | {family.kind.value} | {text} | {combined} |\n"


if __name__ == "__main__":
    print(reference(), end="")
