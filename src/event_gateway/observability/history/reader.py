"""Reads the history as series: a value for each step of a span, None where nothing is known."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from event_gateway.core.observability.history_points import (
    GatewayPoint,
    WebhookPoint,
)
from event_gateway.core.observability.history_spans import (
    RINGS,
    SLOT,
    WEBHOOK_RING,
    HistorySpan,
    span_of,
)
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.history.recorder import HistoryRecorder
from event_gateway.state.history import HistoryStore, WebhookRing

PER_TURN = 2  # webhooks whose points are added up in one turn of the event loop


@dataclass(frozen=True, slots=True)
class GatewaySeries:
    """The whole gateway over a span."""

    span: HistorySpan
    points: Sequence[GatewayPoint | None]


@dataclass(frozen=True, slots=True)
class WebhookSeries:
    """Webhooks over a span, each with its points. ``covered``: for how many seconds of each step a
    process counted."""

    span: HistorySpan
    covered: Sequence[int]
    points: Mapping[str, Sequence[WebhookPoint | None]]


class HistoryReader:
    """Reads what all processes have written, and adds what the ``recorder`` of this one has not
    written yet. Methods raise InvalidDefinition, and the exceptions in StateError."""

    def __init__(self, store: HistoryStore, recorder: HistoryRecorder) -> None:
        self._store = store
        self._recorder = recorder

    async def gateway(
        self, since: float | None, until: float | None, step: float | None, *, latest: float
    ) -> GatewaySeries:
        """What the whole gateway counted. Times in seconds since the epoch; ``step`` in seconds;
        None: ``latest`` seconds until now in steps that fit."""
        now = self._end()
        span = span_of(RINGS, now, now - latest if since is None else since, until, step)
        return GatewaySeries(span, _in_steps(span, await self._points(span)))

    async def webhooks(
        self,
        webhooks: Collection[Webhook],
        since: float | None,
        until: float | None,
        step: float | None,
        *,
        latest: float,
        usual: int,
    ) -> WebhookSeries:
        """What webhooks counted, as :meth:`gateway` says; ``usual``: the most steps, if the
        caller does not say how long they are."""
        now = self._end()
        begin = now - latest if since is None else since
        span = span_of((WEBHOOK_RING,), now, begin, until, step, usual=usual)
        rings = await self._store.webhooks([webhook.id for webhook in webhooks], span)
        for webhook_id, point in self._recorder.unwritten()[1]:
            if webhook_id in rings and span.begin <= point.time < span.end:
                _add_to(rings[webhook_id], point)
        # Which steps a process has counted at all: by the longest points that fit into a step.
        shared = next(
            ring
            for ring in reversed(RINGS)
            if span.step % ring.step == 0 and ring.seconds >= WEBHOOK_RING.seconds
        )
        counted = _in_steps(span, await self._points(replace(span, ring=shared)))
        covered = [0 if point is None else point.covered for point in counted]
        points = {}
        for number, webhook in enumerate(webhooks, 1):
            if number % PER_TURN == 0:
                await asyncio.sleep(0)
            ring = rings[webhook.id]
            points[webhook.id] = _of_webhook(span, covered, ring, webhook.created_at)
        return WebhookSeries(span, covered, points)

    def _end(self) -> float:
        """The end of the last step of 10 seconds that is over."""
        now = self._recorder.now()
        return now - now % SLOT

    async def _points(self, span: HistorySpan) -> list[GatewayPoint]:
        """The points of a span, with those that only this process has yet."""
        points = {point.time: point for point in await self._store.points(span)}
        own: dict[int, GatewayPoint] = {}
        for point in self._recorder.unwritten()[0]:
            time = point.time - point.time % span.ring.step
            if span.begin <= time < span.end:
                copy = msgspec.structs.replace(point, time=time)
                if time in own:
                    own[time].extend(copy)
                else:
                    own[time] = copy
        for time, point in own.items():
            if time in points:
                covered = min(points[time].covered + point.covered, span.ring.step)
                points[time].add(point)
                points[time].covered = covered
            else:
                points[time] = point
        return [points[time] for time in sorted(points)]


def _in_steps(span: HistorySpan, points: Iterable[GatewayPoint]) -> list[GatewayPoint | None]:
    steps: list[GatewayPoint | None] = [None] * span.count
    for point in points:
        index = (point.time - span.begin) // span.step
        known = steps[index]
        if known is None:
            steps[index] = point
        else:
            known.extend(point)
    return steps


def _of_webhook(
    span: HistorySpan, covered: Sequence[int], ring: WebhookRing, created_at: float
) -> list[WebhookPoint | None]:
    steps: list[WebhookPoint | None] = [None] * span.count
    for time, point in ring.points.items():
        if span.begin <= time < span.end and time + WEBHOOK_RING.step > created_at:
            index = (time - span.begin) // span.step
            step = steps[index]
            if step is None:
                steps[index] = point
            else:
                step.add(point)
    if ring.begins is None:
        return steps
    known_from = max(ring.begins, created_at)
    for index, (step, seconds) in enumerate(zip(steps, covered, strict=True)):
        time = span.begin + index * span.step
        if step is None and seconds and time + span.step > known_from:
            steps[index] = WebhookPoint(time)
    return steps


def _add_to(ring: WebhookRing, point: WebhookPoint) -> None:
    if point.time in ring.points:
        ring.points[point.time].add(point)
    else:
        ring.points[point.time] = msgspec.structs.replace(point)
