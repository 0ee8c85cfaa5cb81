"""The figures of one process: counters and gauges by their labels, and what each webhook counts."""

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from event_gateway.core.webhook.delivery import Status
from event_gateway.observability.metrics.families import (
    ATTEMPT_DURATION,
    DELIVERY_LATENCY,
    LEADER,
)
from event_gateway.observability.metrics.family import Combine, MetricFamily

Labels = tuple[str, ...]
AnyLabels = TypeVar("AnyLabels", bound=Labels)  # a tuple of any length

_LATENCY, _DURATION = DELIVERY_LATENCY.bounds, ATTEMPT_DURATION.bounds
_TRACEPARENT_LENGTH = 55
_SUCCEEDED = Status.SUCCEEDED.value
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


# A value that a bucket counted, when (seconds since the epoch), and its ``traceparent``.
Exemplar = tuple[float, float, str]


def trace_id(traceparent: str) -> str | None:
    """The trace id of a ``traceparent`` (W3C Trace Context); None if the text is none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return None if match is None else match[1]


class Histogram(msgspec.Struct, array_like=True):
    """The number of values in each bucket, their sum, and the latest exemplar of each bucket that
    has one. The last bucket has no upper bound."""

    counts: list[int]
    sum: float = 0.0
    exemplars: dict[int, Exemplar] = {}

    def observe(
        self, bounds: tuple[float, ...], value: float, at: float, traceparent: object
    ) -> None:
        """Counts a value, at a time in seconds since the epoch. ``traceparent`` is an exemplar only
        if it may be one: its publisher may have put anything there."""
        index = bisect_left(bounds, value)
        self.counts[index] += 1
        self.sum += value
        if isinstance(traceparent, str) and len(traceparent) == _TRACEPARENT_LENGTH:
            self.exemplars[index] = (value, at, traceparent)


def _latency() -> Histogram:
    return Histogram([0] * (len(_LATENCY) + 1))


def _duration() -> Histogram:
    return Histogram([0] * (len(_DURATION) + 1))


class WebhookMetrics(msgspec.Struct, array_like=True, eq=False):
    """What one webhook counts. Plain fields, as each delivery changes them six times."""

    attempts: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    expression_errors: int = 0
    latency: Histogram = msgspec.field(default_factory=_latency)
    duration: Histogram = msgspec.field(default_factory=_duration)
    last_success: float = 0.0
    last_failure: float = 0.0

    def delivered(
        self, duration: float, latency: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a delivery that has succeeded, with its last attempt: how long that took, and how
        long after the event's receipt it ended, in seconds; ``at`` in seconds since the epoch."""
        attempts, outcomes = self.attempts, self.outcomes
        attempts[""] = attempts.get("", 0) + 1
        outcomes[_SUCCEEDED] = outcomes.get(_SUCCEEDED, 0) + 1
        self.last_success = at
        # What Histogram.observe does, for both: two calls less for each delivery.
        if latency < 0.0:
            latency = 0.0  # the clock of the log may be ahead of this one
        ran, took = self.duration, self.latency
        ran_index, took_index = bisect_left(_DURATION, duration), bisect_left(_LATENCY, latency)
        ran.counts[ran_index] += 1
        took.counts[took_index] += 1
        ran.sum += duration
        took.sum += latency
        if isinstance(traceparent, str) and len(traceparent) == _TRACEPARENT_LENGTH:
            ran.exemplars[ran_index] = (duration, at, traceparent)
            took.exemplars[took_index] = (latency, at, traceparent)

    def attempt_failed(
        self, error_type: str, duration: float, at: float, traceparent: object = None
    ) -> None:
        """Counts a failed attempt, with its duration in seconds."""
        self.attempts[error_type] = self.attempts.get(error_type, 0) + 1
        self.last_failure = at
        self.duration.observe(_DURATION, duration, at, traceparent)

    def outcome(self, outcome: str) -> None:
        """Counts a delivery that has ended without success."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class Figures:
    """The counters and gauges of a process, but for those of each webhook."""

    def __init__(self) -> None:
        self._values: dict[MetricFamily, dict[Labels, float]] = {}

    def add(self, family: MetricFamily, *labels: str, by: float = 1) -> None:
        """Adds to a counter."""
        values = self._values.setdefault(family, {})
        values[labels] = values.get(labels, 0) + by

    def set(self, family: MetricFamily, value: float, *labels: str) -> None:
        """Sets a gauge."""
        self._values.setdefault(family, {})[labels] = value

    def replace(self, family: MetricFamily, values: Mapping[AnyLabels, float]) -> None:
        """Sets all series of a gauge; those that are not named are gone."""
        self._values[family] = dict(values.items())

    def remove(self, family: MetricFamily, *labels: str) -> None:
        """Drops a series, if it is there."""
        self._values.get(family, {}).pop(labels, None)

    def labels_of(self, family: MetricFamily) -> Mapping[Labels, float]:
        """The series of a family."""
        return self._values.get(family, {})

    def shown(self) -> dict[str, dict[Labels, float]]:
        """All series by the name of their family; those that one process measures for all only if
        it is this one, as the gauge LEADER says."""
        leads = any(self.labels_of(LEADER).values())
        return {
            family.full_name: values
            for family, values in self._values.items()
            if leads or family.combine is not Combine.LEADER
        }


class BoundedLabel:
    """The values of a label that others choose: after the first ``most``, or if one is longer than
    ``longest`` characters, it is ``other``."""

    def __init__(self, most: int, longest: int = 256) -> None:
        self._most = most
        self._longest = longest
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """The value, or ``other``."""
        if value in self._known:
            return value
        if len(self._known) >= self._most or len(value) > self._longest or not _encodable(value):
            return "other"
        self._known.add(value)
        return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        return False
    return True
