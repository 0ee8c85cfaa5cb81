"""Which subjects are a burst, and which overtake it."""

import pytest

from event_gateway.core.matching.pattern import matches
from event_gateway.routing.overtaking import MAX_FILTERS, burst_of, filters_beside


@pytest.mark.parametrize(
    ("sample", "burst"),
    [
        (["a.b"] * 64, {"a.b"}),
        (["a.b"] * 60 + ["a.c"] * 4, {"a.b"}),
        (["a.b"] * 40 + ["a.c"] * 20 + ["d.e"] * 4, {"a.b", "a.c"}),
        ([f"orders.{number}" for number in range(64)], {"orders.>"}),
        ([f"orders.{number}.paid" for number in range(60)] + ["user.a"] * 4, {"orders.>"}),
        ([f"bench.t{number % 10}" for number in range(64)], {"bench.>"}),
        ([f"t{number}" for number in range(10)], {f"t{number}" for number in range(9)}),
        ([], set()),
    ],
)
def test_the_burst_of_a_sample(sample: list[str], burst: set[str]) -> None:
    assert burst_of(sample) == burst


@pytest.mark.parametrize(
    ("subjects", "burst", "filters"),
    [
        (["a.b", "a.c", "d.e", "d.f.g", "h"], {"a.b"}, ["a.c", "d.>", "h"]),
        (["a.b", "a.b.c", "a.b.d.e", "a"], {"a.b"}, ["a", "a.b.c", "a.b.d.>"]),
        (["orders.1", "orders.2", "orders", "user.a"], {"orders.>"}, ["orders", "user.>"]),
        (["orders.1.paid", "orders.2.paid", "orders.1.sent"], {"orders.1.paid"},
         ["orders.1.sent", "orders.2.>"]),
        (["a.b"], {"a.b"}, []),
        (["a.b", "ab.c"], {"a.>"}, ["ab.>"]),
    ],
)  # fmt: skip
def test_filters_beside_a_burst(subjects: list[str], burst: set[str], filters: list[str]) -> None:
    found = filters_beside(subjects, burst)
    assert found == filters
    # Each of the other subjects is matched once, and none of the burst.
    for subject in subjects:
        of_burst = subject in burst or subject.startswith(
            tuple(group[:-1] for group in burst if group.endswith(".>"))
        )
        matching = [pattern for pattern in found if matches(pattern, subject)]
        assert len(matching) == (0 if of_burst else 1), (subject, matching)


def test_filters_are_bounded() -> None:
    subjects = [f"orders.{number}" for number in range(5000)]
    assert len(filters_beside(subjects, {"orders.7"})) == MAX_FILTERS
