"""The history in Redis: points of the whole gateway, and of the webhooks that had attempts.

Every process adds what it has counted to the same points, so that none of them has to lead, and
what one has written stays when it is killed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.observability.history_points import GatewayPoint, WebhookPoint
from event_gateway.core.observability.history_spans import HOUR, RINGS, WEBHOOK_RING, HistorySpan
from event_gateway.state.keys import HISTORY, HISTORY_INCOMPLETE, WEBHOOK_HISTORY
from event_gateway.state.script_arguments import HistoryWrite
from event_gateway.state.scripts import script

MAX_WEBHOOKS = 1000  # that have a history of their own
AT_A_TIME = 500  # points that are read in one call
HOURS_AT_A_TIME = 120  # of webhooks; an hour has 12 points

_pack = msgspec.msgpack.Encoder().encode
_point = msgspec.msgpack.Decoder(GatewayPoint).decode
_hour = msgspec.msgpack.Decoder(list[WebhookPoint]).decode


@dataclass(frozen=True, slots=True)
class WebhookRing:
    """The stored points of a webhook, by their time. Before ``begins`` (seconds since the epoch)
    the webhook may have had attempts that were not counted; None: at all times."""

    points: dict[int, WebhookPoint]
    begins: float | None


class HistoryStore:
    """Writes and reads the history. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis, process: str) -> None:
        self._client = client
        self._process = process
        self._add = script(client, "history/add.lua")

    async def now(self) -> float:
        """The time of Redis' clock, in seconds since the epoch: that of all points."""
        seconds, micros = await cast(Any, self._client.time())
        return float(seconds) + float(micros) / 1e6

    async def write(
        self,
        number: int,
        points: Sequence[GatewayPoint],
        webhooks: Sequence[tuple[str, WebhookPoint]],
        *,
        incomplete: bool,
    ) -> tuple[float, list[str]]:
        """Adds what this process has counted; returns the time of Redis' clock, in seconds, and
        the webhooks that are not written, as others had attempts in the last hour.

        ``number``: of the write, from 1; the same write may be sent again with its number.
        ``points``: of 10 seconds each; ``webhooks``: ids with points of 300 seconds.
        ``incomplete``: some webhooks with attempts are missing.
        """
        write = HistoryWrite(
            list(points), list(webhooks), [(ring.step, ring.size) for ring in RINGS],
            WEBHOOK_RING.seconds // HOUR, MAX_WEBHOOKS, incomplete,
        )  # fmt: skip
        now, *refused = await self._add(self._process, number, _pack(write))
        return now / 1000, [webhook.decode() for webhook in refused]

    async def points(self, span: HistorySpan) -> list[GatewayPoint]:
        """The points of a span that are stored, in the order of time."""
        step, size = span.ring.step, span.ring.size
        times = range(span.begin, span.end, step)[-size:]
        found: list[GatewayPoint] = []
        for start in range(0, len(times), AT_A_TIME):
            part = times[start : start + AT_A_TIME]
            fields = [str(time // step % size) for time in part]
            stored = await cast(Any, self._client.hmget(HISTORY.key(str(step)), fields))
            points = [None if each is None else _point(each) for each in stored]
            found += [
                point
                for time, point in zip(part, points, strict=True)
                if point is not None and point.time == time
            ]
        return found

    async def webhooks(
        self, webhook_ids: Iterable[str], span: HistorySpan
    ) -> dict[str, WebhookRing]:
        """What is stored of webhooks in a span."""
        hours = [str(hour) for hour in range(span.begin // HOUR, -(-span.end // HOUR))]
        ids = list(webhook_ids)
        incomplete = bool(await self._client.exists(HISTORY_INCOMPLETE.key()))
        rings: dict[str, WebhookRing] = {}
        at_once = max(HOURS_AT_A_TIME // len(hours), 1)
        for start in range(0, len(ids), at_once):
            part = ids[start : start + at_once]
            async with self._client.pipeline(transaction=False) as pipe:
                for webhook_id in part:
                    pipe.hmget(WEBHOOK_HISTORY.key(webhook_id), "from", *hours)
                    pipe.exists(WEBHOOK_HISTORY.key(webhook_id))
                answers = await pipe.execute()
            for webhook_id, (begins, *stored), exists in zip(
                part, answers[::2], answers[1::2], strict=True
            ):
                known = 0.0 if exists or not incomplete else None
                rings[webhook_id] = WebhookRing(
                    _by_time(stored), known if begins is None else float(begins)
                )
        return rings


def _by_time(hours: Iterable[bytes | None]) -> dict[int, WebhookPoint]:
    points: dict[int, WebhookPoint] = {}
    for hour in hours:
        for point in _hour(hour) if hour is not None else ():
            if point.time in points:  # of the former id and the new one of a renamed webhook
                points[point.time].add(point)
            else:
                points[point.time] = point
    return points
