"""What live subscribers count."""

import time
from collections.abc import Container, Mapping

from event_gateway.observability.metrics import families
from event_gateway.observability.metrics.figures import Figures

MAX_STREAMS = 500
OTHER = "other"


class StreamMetrics:
    """Figures of named streams; subscriptions to subjects have the empty stream name. After the
    first 500 the others share the label ``other``."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._labels: dict[str, float] = {"": 0.0}  # and when they were last seen registered

    def label_of(self, stream: str) -> str:
        """The label of a stream: its name, or ``other``."""
        if stream in self._labels:
            return stream
        if len(self._labels) > MAX_STREAMS:
            return OTHER
        self._labels[stream] = time.monotonic()
        return stream

    def subscribers(self, counts: Mapping[str, int]) -> None:
        """Sets the live subscribers of all streams of this process, by label."""
        values = {(label,): count for label, count in counts.items()}
        self._figures.replace(families.STREAM_SUBSCRIBERS, values)

    def sent(self, stream: str, count: int) -> None:
        """Counts events sent to subscribers."""
        self._figures.add(families.STREAM_SENT, self.label_of(stream), by=count)

    def slow(self) -> None:
        """Counts a subscriber that fell behind."""
        self._figures.add(families.STREAM_SLOW)

    def chained(self, stream: str, count: int) -> None:
        """Counts messages that a chain has covered."""
        self._figures.add(families.CHAIN_MESSAGES, self.label_of(stream), by=count)

    def anchored(self, stream: str) -> None:
        """Counts an anchor."""
        self._figures.add(families.CHAIN_ANCHORS, self.label_of(stream))

    def chain_lags(self, lags: Mapping[str, int]) -> None:
        """Sets how many messages wait for their chain, of all streams."""
        values: dict[tuple[str, ...], float] = {}
        for stream, lag in lags.items():
            label = (self.label_of(stream),)
            values[label] = values.get(label, 0) + lag
        self._figures.replace(families.CHAIN_LAG, values)

    def forget_deleted(self, registered: Container[str], before: float) -> None:
        """Drops the series of streams that were last registered before a time of the monotonic
        clock."""
        now = time.monotonic()
        for label, seen in list(self._labels.items()):
            if label in registered or not label:
                self._labels[label] = now
            elif seen < before:
                del self._labels[label]
                for family in (families.STREAM_SENT, families.CHAIN_MESSAGES,
                               families.CHAIN_ANCHORS):  # fmt: skip
                    self._figures.remove(family, label)
