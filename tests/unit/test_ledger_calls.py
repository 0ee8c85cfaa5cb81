"""How a batch of changes is divided into calls, and what their answers say together."""

from collections import Counter

import pytest

from event_gateway.state.pending_changes import CALL_RECORDS, calls_for
from event_gateway.state.reported_lanes import ReportedLanes


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ([], [0]),
        ([1], [1]),
        ([32], [32]),
        ([33], [32, 1]),
        ([20, 12], [32]),
        ([20, 13], [20, 13]),
        ([1] * 70, [32, 32, 6]),
        ([70], [32, 32, 6]),
        ([70, 26], [32, 32, 32]),
        ([10, 40, 5], [10, 32, 13]),
    ],
)
def test_the_changes_of_a_webhook_stay_together_where_they_fit(
    sizes: list[int], calls: list[int]
) -> None:
    webhooks = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    parts = calls_for(webhooks)
    assert [len(webhooks[part]) for part in parts] == calls
    assert [change for part in parts for change in webhooks[part]] == webhooks
    assert all(part.stop - part.start <= CALL_RECORDS for part in parts)
    assert max(Counter(part.start for part in parts).values()) == 1


def test_the_latest_call_says_how_a_lane_is() -> None:
    lanes = ReportedLanes()
    lanes.add({"a", "b"}, [], [b"a", b"b"], [b"a", 1000, b"b", 1000], [b"a", 500, b"b", 500])
    lanes.add({"b", "c"}, ["b"], [b"c"], [b"c", 3000], [])
    assert lanes.webhooks == {"a", "b", "c"}
    assert lanes.not_closed == {"a", "c"}
    assert lanes.failing == {"a": 1.0, "c": 3.0}
    assert lanes.throttled == {"a": 0.5}


def test_a_call_without_an_attempt_leaves_since_when_all_have_failed() -> None:
    lanes = ReportedLanes()
    lanes.add({"a"}, [], [], [b"a", 1000], [])
    lanes.add({"a"}, [], [], [], [])
    assert lanes.failing == {"a": 1.0}
