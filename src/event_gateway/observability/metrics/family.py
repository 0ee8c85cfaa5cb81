"""What a metric is: its name, kind, labels, and how the figures of several processes combine."""

from dataclasses import dataclass
from enum import Enum

PREFIX = "event_gateway"


class Kind(Enum):
    """The types of OpenMetrics that the gateway uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combine(Enum):
    """What a scrape shows of a gauge that several processes of one ``serve`` have.

    Counters and histograms are always added. ``LEADER``: only one process of the whole gateway
    measures it, whatever the number of hosts; the others do not have it, and where two do for a
    moment, the greater value is shown.
    """

    SUM = "the sum over the processes"
    MAX = "the greatest of the processes"
    MIN = "the smallest of the processes"
    LEADER = "from one process of the gateway, whatever the number of hosts"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # a key of dicts, by identity
class MetricFamily:
    """A metric with all its series.

    ``name`` has neither the prefix nor the suffix ``_total``. ``bounds`` are the upper bounds of a
    histogram's buckets, in the unit of the name. ``when``: the metric is there only then.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    combine: Combine = Combine.SUM
    bounds: tuple[float, ...] = ()
    when: str = ""
    prefix: str = PREFIX

    @property
    def full_name(self) -> str:
        """The name without the suffix ``_total``."""
        return f"{self.prefix}_{self.name}"

    @property
    def shown_name(self) -> str:
        """The name as it is written in queries (of a histogram without ``_bucket``)."""
        return f"{self.full_name}_total" if self.kind is Kind.COUNTER else self.full_name

    @property
    def unit(self) -> str:
        """The unit in the sense of OpenMetrics; empty if the figure has none."""
        last = self.name.rsplit("_", 1)[-1]
        return last if last in ("seconds", "bytes") else ""
