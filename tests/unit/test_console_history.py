"""Histories as the charts of the console show them."""

from typing import Any

import pytest

from event_gateway.console.history import LEAST, as_chart

POINTS = 90


@pytest.mark.parametrize(
    ("known", "shown"),
    [(POINTS, POINTS), (40, 40), (3, LEAST), (0, POINTS)],
    ids=["all", "some", "just begun", "nothing"],
)
def test_a_chart_begins_with_its_history(known: int, shown: int) -> None:
    counts = [None] * (POINTS - known) + [20] * known
    history: dict[str, Any] = {
        "since": "2026-05-04T03:00:00Z", "step_seconds": 10, "covered_seconds": [10] * POINTS,
        # Nothing succeeded at first: the charts of a page begin at the same time all the same.
        "series": {"received": counts, "succeeded": [None] * (POINTS - 1) + [1 if known else None]},
    }  # fmt: skip
    charts = [
        as_chart(history, {"events in": "received"}, rate=True),
        as_chart(history, {"deliveries": "succeeded"}),
    ]
    assert {len(chart["time"]) for chart in charts} == {shown}
    assert all(len(chart["series"][0]["values"]) == len(chart["time"]) for chart in charts)
    assert {chart["time"][-1] for chart in charts} == {1777863600 + 10 * (POINTS - 1)}
    assert charts[0]["series"][0]["values"][-1] == (2 if known else None)
