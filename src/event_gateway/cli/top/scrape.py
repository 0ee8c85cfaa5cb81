"""Reads the metrics of a gateway, and what has changed between two readings."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "event_gateway_"
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All series of the gateway at a time (seconds). Names have no prefix."""

    at: float
    series: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether there is a series of this name."""
        return name in self.series

    def values(self, name: str, label: str, **where: str) -> dict[str, float]:
        """The sum of the series of each value of a label. A missing label is an empty value."""
        sums: dict[str, float] = {}
        for labels, value in self.series.get(name, {}).items():
            named = dict(labels)
            if all(named.get(key, "") == wanted for key, wanted in where.items()):
                key = named.get(label, "")
                sums[key] = sums.get(key, 0.0) + value
        return sums

    def total(self, name: str, **where: str) -> float:
        """The sum of the series that have these labels."""
        return sum(self.values(name, "", **where).values())


def parse(text: str, at: float) -> Scrape:
    """The series of an answer in the Prometheus text format. Raises ValueError."""
    scrape = Scrape(at)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(PREFIX):
                name = sample.name.removeprefix(PREFIX)
                labels = frozenset(sample.labels.items())
                scrape.series.setdefault(name, {})[labels] = sample.value
    return scrape


def growth(before: Scrape, after: Scrape) -> Scrape:
    """How much each series has grown. One that is smaller than before began again at zero."""
    grown = Scrape(after.at - before.at)
    for name, series in after.series.items():
        earlier = before.series.get(name, {})
        grown.series[name] = {
            labels: value - earlier.get(labels, 0.0)
            if value >= earlier.get(labels, 0.0) else value
            for labels, value in series.items()
        }  # fmt: skip
    return grown


def quantile(share: float, buckets: Mapping[str, float]) -> float | None:
    """The value that a share of the values does not exceed, of cumulative counts by upper bound.

    Within a bucket values are taken as evenly spread, as Prometheus does; None without values.
    """
    counts = sorted((float(bound), count) for bound, count in buckets.items())
    if not counts or counts[-1][1] <= 0:
        return None
    rank = share * counts[-1][1]
    for (low, below), (high, count) in itertools.pairwise([(0.0, 0.0), *counts]):
        if count >= rank:
            if high == float("inf") or count == below:
                return low
            return low + (high - low) * (rank - below) / (count - below)
    return None
