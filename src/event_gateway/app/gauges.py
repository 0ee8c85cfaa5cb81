"""Measures the gauges that are not updated with each change.

What one process can say of itself is measured when the metrics are read. What takes calls to Redis
is measured every few seconds, by one process for the whole gateway.
"""

import time
from collections import Counter
from itertools import islice

import structlog

from event_gateway.app.stages.stages import Stages
from event_gateway.app.stream_upkeep import StreamUpkeep
from event_gateway.app.webhook_census import WebhookCensus
from event_gateway.beats import beat
from event_gateway.broker.connection import BrokerError
from event_gateway.observability.metrics import MAX_STREAMS, OTHER, families
from event_gateway.state.connection import StateError
from event_gateway.state.queues import QueueFigures

log = structlog.get_logger(__name__)

INTERVAL = 5.0  # seconds between two rounds
ORDERED_AT_ONCE = 100  # ordered webhooks whose places in the logs are read in one call
OTHERS_A_ROUND = 2000  # webhooks that are looked through in a round for those that share a label
_OF_QUEUES = (
    families.QUEUE_DEPTH, families.OLDEST_PENDING, families.DELIVERY_LAG, families.BREAKER_STATE,
    families.THROTTLED_SECONDS,
)  # fmt: skip
_BREAKERS = {"closed": 0, "half_open": 1, "open": 2}
_EMPTY = QueueFigures(0, 0.0, 0.0, "closed")


class Gauges:
    """The gauges of a process. ``stages`` are what is measured, ``upkeep`` knows the streams."""

    def __init__(self, stages: Stages, upkeep: StreamUpkeep) -> None:
        self._stages = stages
        self._upkeep = upkeep
        self._metrics = stages.adapters.metrics
        self._figures = stages.adapters.metrics.figures
        self._others = _Others()
        self._next_other = 0
        adapters = stages.adapters
        self._census = WebhookCensus(adapters.registry)
        self._metrics.measured_by(self._of_this_process)
        adapters.broker.add_reconnect_listener(self._metrics.nats_reconnected)

    async def run(self) -> None:
        """Measures for ever."""
        while True:
            registry = self._stages.adapters.registry
            self._metrics.forget_deleted(registry.webhooks, registry.streams)
            if self._stages.adapters.peers.leads:
                await self._of_the_registry()
                self._of_the_streams()
                try:
                    await self._of_the_queues()
                except StateError as error:
                    log.debug("queues not measured", error=str(error))
                    for family in _OF_QUEUES:  # rather no figure than an old one
                        self._figures.replace(family, {})
            await beat(INTERVAL)

    def _of_this_process(self) -> None:
        stages, adapters = self._stages, self._stages.adapters
        figures = self._figures
        figures.set(families.LEADER, int(adapters.peers.leads))
        figures.set(families.ATTEMPTS_IN_FLIGHT, stages.deliveries.dispatcher.in_flight)
        connected = adapters.broker.connected and not adapters.peers.cut_off
        figures.set(families.SERVER_CONNECTED, int(connected), "nats")
        figures.set(families.SERVER_CONNECTED, int(adapters.ledger.reachable), "redis")
        figures.set(families.LIMITS_REACHED, adapters.broker.outbox.dropped, "messages_to_nats")
        if adapters.storage.disk is not None:
            figures.set(families.DISK_FREE, adapters.storage.disk.free)
        counts = dict.fromkeys(islice(adapters.registry.streams, MAX_STREAMS), 0)
        for stream, count in stages.streaming.hub.counts().items():
            label = self._metrics.streams.label_of(stream)
            counts[label] = counts.get(label, 0) + count
        self._metrics.streams.subscribers(counts)
        if adapters.peers.leads:
            figures.set(families.PROCESSES, adapters.peers.index_and_count[1])
            state = stages.observability.health.tracker.state
            degraded = state.status == "degraded"
            figures.set(families.HEALTH_DEGRADED, int(degraded))
            reasons = Counter(reason.code for reason in state.reasons) if degraded else {}
            figures.replace(
                families.HEALTH_REASONS, {(code,): count for code, count in reasons.items()}
            )
            book = stages.alerts.book
            figures.replace(families.ALERTS, book.counts())
            figures.replace(families.ALERT_FIRING, {
                (alert.name, self._metrics.label_of(alert.webhook) if alert.webhook else ""): 1
                for alert in book.firing()
            })  # fmt: skip

    async def _of_the_registry(self) -> None:
        """States of webhooks, and ends of keys: the registry is in memory."""
        registry, figures = self._stages.adapters.registry, self._figures
        await self._census.count()
        figures.replace(families.WEBHOOK_STATE, {
            (label, registry.webhooks[label].state): 1.0 for label in self._labelled()
        })  # fmt: skip
        figures.replace(
            families.WEBHOOKS, {(state,): count for state, count in self._census.states.items()}
        )
        now = time.time()
        ends = [key.expires_at for key in registry.keys.values() if key.expires_at is not None]
        later = [end for end in ends if end > now]
        figures.replace(families.KEY_EXPIRY, {(): min(later)} if later else {})

    def _labelled(self) -> list[str]:
        """The webhooks that have a label of their own."""
        registered = self._stages.adapters.registry.webhooks
        return [label for label in self._metrics.webhooks if label in registered]

    def _of_the_streams(self) -> None:
        sizes = dict(islice(self._upkeep.sizes.items(), MAX_STREAMS))
        figures = self._figures
        figures.replace(
            families.STREAM_MESSAGES, {(name,): size.messages for name, size in sizes.items()}
        )
        figures.replace(
            families.STREAM_BYTES, {(name,): size.bytes for name, size in sizes.items()}
        )
        figures.replace(
            families.STREAM_LIMIT_BYTES,
            {(name,): size.max_bytes for name, size in sizes.items() if size.max_bytes},
        )

    async def _of_the_queues(self) -> None:
        """What waits for each webhook. Those that share a label are measured a part at a time."""
        queues, figures = self._stages.adapters.queues, self._figures
        webhook_ids = list(self._stages.adapters.registry.webhooks)
        own = self._labelled()
        waiting = dict(zip(own, await queues.figures(own), strict=True))
        if len(own) < len(webhook_ids):
            waiting[OTHER] = await self._of_the_others(webhook_ids)
        _, _, throttled = await queues.lane_states()
        figures.replace(families.QUEUE_DEPTH, {
            (name,): depth for name, depth in (await self._with_ordered(waiting)).items()
        })  # fmt: skip
        figures.replace(
            families.OLDEST_PENDING, {(name,): each.oldest for name, each in waiting.items()}
        )
        figures.replace(
            families.DELIVERY_LAG, {(name,): each.lag for name, each in waiting.items()}
        )
        figures.replace(
            families.BREAKER_STATE,
            {(name,): _BREAKERS.get(each.breaker, 0) for name, each in waiting.items()},
        )
        figures.replace(
            families.THROTTLED_SECONDS, {(name,): throttled.get(name, 0.0) for name in own}
        )

    async def _with_ordered(self, queues: dict[str, QueueFigures]) -> dict[str, int]:
        """The depths of all queues; of ordered webhooks, which have no queue, the events of the
        logs that they have not got yet. While NATS is away ordered webhooks are left out."""
        registered = self._stages.adapters.registry.webhooks
        depths = {
            name: each.depth for name, each in queues.items()
            if name not in registered or not registered[name].ordered
        }  # fmt: skip
        ordered = self._census.ordered
        waiting = self._stages.registrations.waiting
        try:
            for start in range(0, len(ordered), ORDERED_AT_ONCE):
                chunk = ordered[start : start + ORDERED_AT_ONCE]
                behind = await waiting.events_behind_each(chunk)
                for webhook, events in zip(chunk, behind, strict=True):
                    label = self._metrics.label_of(webhook.id)
                    # One that was registered in between is not measured yet.
                    queued = queues.get(label, _EMPTY).depth if label != OTHER else 0
                    depths[label] = depths.get(label, 0) + queued + events
        except BrokerError as error:
            log.debug("ordered webhooks not measured", error=str(error))
        return depths

    async def _of_the_others(self, webhook_ids: list[str]) -> QueueFigures:
        """The webhooks that share a label, as they were in the last complete round over them."""
        others = self._others
        part = webhook_ids[self._next_other : self._next_other + OTHERS_A_ROUND]
        self._next_other += OTHERS_A_ROUND
        sharing = [each for each in part if self._metrics.label_of(each) == OTHER]
        for figures in await self._stages.adapters.queues.figures(sharing, sample=1):
            others.add(figures)
        if self._next_other >= len(webhook_ids):
            self._next_other = 0
            others.complete()
        return others.last


class _Others:
    """What waits for many webhooks together: the sum of the depths, and the worst of the rest."""

    def __init__(self) -> None:
        self.last = self._round = _EMPTY

    def add(self, more: QueueFigures) -> None:
        """Adds a webhook to the present round."""
        so_far = self._round
        self._round = QueueFigures(
            so_far.depth + more.depth,
            max(so_far.oldest, more.oldest),
            max(so_far.lag, more.lag),
            max(so_far.breaker, more.breaker, key=lambda state: _BREAKERS.get(state, 0)),
        )

    def complete(self) -> None:
        """Ends the round."""
        self.last, self._round = self._round, _EMPTY
