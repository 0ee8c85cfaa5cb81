"""Measures the gauges that nobody updates when they change: every few seconds."""

import asyncio

import structlog

from event_gateway.broker.registry import Registry
from event_gateway.embedded.disk import Disk
from event_gateway.observability.metrics import MAX_WEBHOOKS, Metrics
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues
from event_gateway.streaming.hub import Hub

log = structlog.get_logger(__name__)

INTERVAL = 5.0  # seconds


async def measure(
    registry: Registry, hub: Hub, queues: Queues, metrics: Metrics, disk: Disk | None
) -> None:
    """Measures live subscribers, the webhooks' queues, and the disk of embedded servers. It never
    returns."""
    while True:
        if disk is not None:
            metrics.disk_free.set(disk.free)
        counts = hub.counts()
        for name in registry.streams:
            metrics.streams.subscribers.labels(name).set(counts.get(name, 0))
        try:
            webhook_ids = list(registry.webhooks)[:MAX_WEBHOOKS]
            for webhook_id, depth in zip(
                webhook_ids, await queues.depths(webhook_ids), strict=True
            ):
                metrics.queue_depth.labels(webhook_id).set(depth)
            _, _, throttled = await queues.lane_states()
            for webhook_id in webhook_ids:
                left = throttled.get(webhook_id, 0.0)
                metrics.throttled_seconds.labels(webhook_id).set(left)
        except StateError as error:
            log.debug("queues not measured", error=str(error))
        await asyncio.sleep(INTERVAL)
