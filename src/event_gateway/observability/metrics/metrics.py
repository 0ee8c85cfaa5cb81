"""The metrics of one process, and the text of them all."""

import asyncio
import platform
import time
from collections.abc import Callable, Container, Mapping

from event_gateway import __version__
from event_gateway.beats import beat
from event_gateway.observability.metrics import families
from event_gateway.observability.metrics.attempt_counts import (
    AttemptCounts,
    Changed,
    UnlabelledMetrics,
)
from event_gateway.observability.metrics.exposition import (
    CONTENT_TYPE,
    OPEN_METRICS,
    text_of,
    wants_open_metrics,
)
from event_gateway.observability.metrics.family import Kind
from event_gateway.observability.metrics.figure_files import FigureFiles
from event_gateway.observability.metrics.figures import BoundedLabel, Figures, WebhookMetrics
from event_gateway.observability.metrics.http import HttpMetrics
from event_gateway.observability.metrics.process import ProcessFigures
from event_gateway.observability.metrics.snapshot import Snapshot, combined, decode, encode
from event_gateway.observability.metrics.streams import StreamMetrics

MAX_WEBHOOKS = 500
MAX_CHANGED = 1000  # webhooks without a label that count for their history between two points
MAX_TYPES = 500
MAX_ORIGINS = 100
MAX_SOURCES = 500
MAX_ORIGIN = 64  # characters; a header names the origin, which any publisher can set
FORGOTTEN_AFTER = 600.0  # seconds for which the series of a deleted webhook or stream stay
INTERVAL = 1.0  # seconds between two looks whether to write for the other processes
CPU_STEP = 0.5  # seconds of CPU time that alone are a reason to write
OTHER = "other"


class Metrics:
    """All metrics of this process.

    ``files``: where it finds those of the other processes of the same ``serve``; None where
    there are none.
    """

    def __init__(self, files: FigureFiles | None = None) -> None:
        self.figures = Figures()
        self.streams = StreamMetrics(self.figures)
        self.http = HttpMetrics(self.figures)
        self._files = files
        self._gauges: list[Callable[[], None]] = []
        self._process = ProcessFigures()
        self._webhooks: dict[str, WebhookMetrics] = {}
        self.changed = Changed(MAX_CHANGED)
        self._gone: dict[str, float] = {}  # since when a webhook is not registered any more
        self._origins = BoundedLabel(MAX_ORIGINS, MAX_ORIGIN)
        self._sources = BoundedLabel(MAX_SOURCES)
        self._types = BoundedLabel(MAX_TYPES)
        self._violating = BoundedLabel(MAX_TYPES)
        self._transformations = BoundedLabel(MAX_WEBHOOKS)
        self._reading = asyncio.Lock()
        self._noticed = b""
        self._noticed_cpu = 0.0
        for family in families.FAMILIES:
            if family.kind is Kind.COUNTER and not family.labels:
                self.figures.add(family, by=0)
        self.figures.set(families.LEADER, 0)
        self.figures.set(families.BUILD_INFO, 1, __version__, platform.python_version())
        for origin in ("nats", "http"):
            self.received(origin, 0)

    # What happens

    def received(self, origin: str, count: int) -> None:
        """Counts events read from the log, by their origin. After the first 100 origins the others
        share the label ``other``."""
        self.figures.add(families.EVENTS_RECEIVED, self._origins(origin), by=count)

    def routed(self, types: Mapping[str, int]) -> None:
        """Counts events read from the log: how many of each type. After the first 500 types the
        others share the label ``other``."""
        for event_type, count in types.items():
            self.figures.add(families.EVENTS_ROUTED, self._types(event_type), by=count)

    def rejected(self, reason: str) -> None:
        """Counts input that is not an event."""
        self.figures.add(families.EVENTS_REJECTED, reason)

    def duplicate(self) -> None:
        """Counts an event that was published again."""
        self.figures.add(families.EVENTS_DUPLICATE)

    def source_request(self, source: str, outcome: str) -> None:
        """Counts a request to a registered source. After the first 500 sources the others share
        the label ``other``."""
        self.figures.add(families.SOURCE_REQUESTS, self._sources(source), outcome)

    def schema_violation(self, event_type: str, enforce: str) -> None:
        """Counts an event whose data is not valid. After the first 500 types the others share the
        label ``other``."""
        label = self._violating(event_type)
        self.figures.add(families.SCHEMA_VIOLATIONS, label, enforce)

    def fell_back(self, transformation: str) -> None:
        """Counts a request that used the standard transformation in place of a missing one."""
        label = self._transformations(transformation)
        self.figures.add(families.TRANSFORMATION_FALLBACKS, label)

    def issuer_keys_fetched(self, issuer: str, succeeded: bool) -> None:
        """Counts a request for the keys of an issuer, of which the configuration has a few."""
        outcome = "succeeded" if succeeded else "failed"
        self.figures.add(families.ISSUER_KEY_FETCHES, issuer, outcome)

    def task_crashed(self, task: str) -> None:
        """Counts a crash of a background task."""
        self.figures.add(families.TASK_CRASHES, task)

    def limit_reached(self, limit: str, count: int = 1) -> None:
        """Counts that a limit, by its name in the reference, refused or dropped something."""
        self.figures.add(families.LIMITS_REACHED, limit, by=count)

    def lanes_synced(self) -> None:
        """Counts a round in which the lanes were brought in agreement with Redis and the peers."""
        self.figures.add(families.LANE_SYNCS)

    def nats_reconnected(self) -> None:
        """Counts a connection to NATS that was made again."""
        self.figures.add(families.NATS_RECONNECTS)

    def lag(self, events: int, seconds: float) -> None:
        """Events that are not routed yet, and for how long the oldest of them has waited."""
        self.figures.set(families.CONSUMER_LAG, events)
        self.figures.set(families.CONSUMER_LAG_SECONDS, seconds)

    # Webhooks

    def webhook(self, webhook_id: str) -> WebhookMetrics:
        """The metrics of a webhook. Webhooks after the first 500 share the label ``other``."""
        webhooks, label = self._webhooks, webhook_id
        if webhook_id not in webhooks and len(webhooks) >= MAX_WEBHOOKS:
            label = OTHER
        if label not in webhooks:
            webhooks[label] = WebhookMetrics()
        return webhooks[label]

    def cancelled(self, webhook_id: str, count: int) -> None:
        """Counts deliveries of a webhook that were cancelled by hand or with the webhook."""
        outcomes = self.webhook(webhook_id).outcomes
        outcomes["cancelled"] = outcomes.get("cancelled", 0) + count

    def attempts_of(self, webhook_id: str) -> AttemptCounts:
        """What the lane of a webhook counts: its metrics, and its history."""
        counts = self.webhook(webhook_id)
        if webhook_id in self._webhooks:
            return counts
        return UnlabelledMetrics(webhook_id, counts, self.changed)

    @property
    def webhooks(self) -> Mapping[str, WebhookMetrics]:
        """What this process has counted of webhooks, by label."""
        return self._webhooks

    def label_of(self, webhook_id: str) -> str:
        """The label under which a registered webhook counts: its id, or ``other``."""
        return webhook_id if webhook_id in self._webhooks else OTHER

    def forget_deleted(self, webhooks: Container[str], streams: Container[str]) -> None:
        """Drops the series of webhooks and streams that have not been registered for ten
        minutes."""
        now = time.monotonic()
        for label in list(self._webhooks):
            if label == OTHER or label in webhooks:
                self._gone.pop(label, None)
            elif now - self._gone.setdefault(label, now) >= FORGOTTEN_AFTER:
                del self._webhooks[label], self._gone[label]
        self.streams.forget_deleted(streams, now - FORGOTTEN_AFTER)

    # What is read

    def measured_by(self, measure: Callable[[], None]) -> None:
        """Calls a function that sets gauges each time before they are read. It must be fast."""
        self._gauges.append(measure)

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """The text that a Prometheus server reads, of all processes of this ``serve``, in the
        format that ``accept`` (the request's header) asks for; and its content type.

        It is made in a thread: with 500 webhooks it has some 20,000 lines.
        """
        async with self._reading:
            data = self._encoded()
            return await asyncio.to_thread(self._combined_text, data, accept)

    async def share(self) -> None:
        """Writes for the other processes, for ever, when something has changed."""
        while True:
            await beat(INTERVAL)
            await self.write_changes()

    async def write_changes(self) -> None:
        """Writes for the other processes, if something has changed since the last time."""
        if self._files is None:
            return
        cpu = time.process_time()
        noticed = encode(self._snapshot())
        if noticed != self._noticed or cpu - self._noticed_cpu >= CPU_STEP:
            async with self._reading:
                data = self._encoded()
                self._noticed, self._noticed_cpu = encode(self._snapshot()), cpu
                await asyncio.to_thread(self._files.write, data)

    def copied(self) -> Snapshot:
        """The figures of this process alone as they are now, in a copy."""
        snapshot = decode(self._encoded())
        assert snapshot is not None
        return snapshot

    def telemetry_spans(self, result: str, count: int) -> None:
        """Counts what became of spans: ``exported``, ``failed`` or ``dropped``."""
        self.figures.add(families.TELEMETRY_SPANS, result, by=count)

    def _snapshot(self) -> Snapshot:
        for measure in self._gauges:
            measure()
        return Snapshot(self.figures.shown(), self._webhooks)

    def _encoded(self) -> bytes:
        self._process.read(self.figures)
        return encode(self._snapshot())

    def _combined_text(self, data: bytes, accept: str) -> tuple[bytes, str]:
        shown = decode(data)
        assert shown is not None
        if self._files is not None:
            # First: what is shown must be in the file, if this process is killed right after.
            self._files.write(data)
            shown = combined([shown, *self._files.others()])
        open_metrics = wants_open_metrics(accept)
        content_type = OPEN_METRICS if open_metrics else CONTENT_TYPE
        return text_of(shown, open_metrics=open_metrics), content_type
