"""The page of the reasons for degraded health is that of the code."""

from pathlib import Path

from event_gateway.observability.health_reference import reference


def test_the_page_of_the_reasons_is_up_to_date() -> None:
    assert Path("docs/reference/health.md").read_text() == reference(), "write it with: make docs"
