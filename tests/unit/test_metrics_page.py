"""The page of the metrics is that of the code."""

from pathlib import Path

from event_gateway.observability.metrics.reference import reference


def test_the_page_of_the_metrics_is_up_to_date() -> None:
    assert Path("docs/reference/metrics.md").read_text() == reference(), "write it with: make docs"
