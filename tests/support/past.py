"""A past for pictures of charts: a day of a gateway and of its webhooks, written into the
history and the hourly counts as the gateway itself writes them."""

import contextlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Sequence

from nats.aio.client import Client as NatsConnection
from redis.asyncio import Redis

from event_gateway.core.observability.history_points import GatewayPoint, WebhookPoint
from event_gateway.core.observability.history_spans import DAY, HOUR, SLOT, WEBHOOK_RING
from event_gateway.state.history import HistoryStore
from event_gateway.state.keys import HOURS, STATS

# Of 1000 successes, how many fall into each bucket of latencies: most within 25 ms.
SPREAD = (40, 220, 430, 210, 82, 14, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
AT_ONCE = 360  # points that are written in one call
AGE = 30 * 86400.0  # seconds, of the webhooks


async def make_older(nats: NatsConnection, webhooks: Sequence[str]) -> None:
    """Has the registry say that these webhooks are of last month: a webhook's history begins with
    its registration."""
    registry = await nats.jetstream().key_value("GATEWAY_REGISTRY")
    for key in await registry.keys():
        value = (await registry.get(key)).value or b""
        stored = json.loads(value) if value.startswith(b"{") else {}
        if stored.get("webhook", {}).get("id") in webhooks:
            stored["webhook"]["created_at"] -= AGE
            await registry.put(key, json.dumps(stored).encode())


class Past:
    """``webhooks``: ids, with events a second at the mean, and the share of attempts that fail."""

    def __init__(self, client: Redis, webhooks: Sequence[tuple[str, float, float]]) -> None:
        self._client = client
        self._webhooks = webhooks
        self._store = HistoryStore(client, "past")
        self._chance = random.Random(26)
        self._number = 0  # of the write
        self._gateway = self._each = 0  # up to when there is a past: of the gateway, of a webhook

    async def write(self) -> None:
        """Writes what there is not yet, of the last day and up to now."""
        now = int(await self._store.now())
        times = _times(now, self._gateway, SLOT)
        points = [_gateway_point(at, self._chance) for at in times]
        self._gateway = times.stop
        for start in range(0, len(points), AT_ONCE):
            self._number += 1
            part = points[start : start + AT_ONCE]
            await self._store.write(self._number, part, [], incomplete=False)
        times = _times(now, self._each, WEBHOOK_RING.step)
        self._each = times.stop
        for name, rate, failing in self._webhooks:
            past = [_webhook_point(at, rate, failing, self._chance) for at in times]
            self._number += 1
            write = [(name, each) for each in past]
            await self._store.write(self._number, [], write, incomplete=False)
            await _write_hours(self._client, name, past)


@contextlib.asynccontextmanager
async def past_of(url: str, webhooks: Sequence[tuple[str, float, float]]) -> AsyncIterator[Past]:
    """The past of a gateway, written. ``url``: of Redis."""
    client = Redis.from_url(url)
    try:
        past = Past(client, webhooks)
        await past.write()
        yield past
    finally:
        await client.aclose()


def _times(now: int, since: int, step: int) -> range:
    """The steps that have ended, since a time or for a day."""
    end = now // step * step
    return range(max(since, end - DAY), end, step)


def _wave(at: int, chance: random.Random) -> float:
    """Around 1: slow and quick waves, noise, and now and then a burst."""
    slow, quick = math.sin(at / 700), math.sin(at / 130)
    burst = 0.9 if (at // 60) % 17 == 0 else 0.0
    return max(0.1, 1 + 0.28 * slow + 0.14 * quick + burst + chance.uniform(-0.12, 0.12))


def _gateway_point(at: int, chance: random.Random) -> GatewayPoint:
    received = round(SLOT * 38 * _wave(at, chance))
    succeeded = round(received * 1.9 * chance.uniform(0.97, 1.0))
    # A receiver was in trouble for some minutes, from 0 (not) to 1.
    age = time.time() - at
    trouble = math.sin(math.pi * (age - 360) / 300) ** 2 if 360 < age < 660 else 0.0
    failed = round(succeeded * (0.004 + 0.09 * trouble * chance.uniform(0.7, 1.2)))
    return GatewayPoint(
        time=at, covered=SLOT, received=received, streamed=received // 2, succeeded=succeeded,
        dead_letters=failed // 12, attempts=succeeded + failed, failed_attempts=failed,
        subscribers=3, lag=chance.randrange(4, 9), lag_ms=chance.randrange(5, 40),
        waiting=round((24 + 90 * trouble) * _wave(at, chance)),
        oldest_ms=round((900 + 8000 * trouble) * _wave(at, chance)),
        latency=_latencies(succeeded, slower=trouble * chance.uniform(0.6, 1)),
    )  # fmt: skip


def _webhook_point(at: int, rate: float, failing: float, chance: random.Random) -> WebhookPoint:
    attempts = round(WEBHOOK_RING.step * rate * _wave(at, chance))
    failed = round(attempts * failing * chance.uniform(0.5, 1.5))
    return WebhookPoint(
        time=at, succeeded=attempts - failed, dead_letters=failed // 6, attempts=attempts,
        failed_attempts=failed, waiting=chance.randrange(6) + failed // 3,
        latency=_latencies(attempts - failed, slower=0.2 * chance.random()),
    )  # fmt: skip


def _latencies(number: int, *, slower: float) -> list[int]:
    """``slower``: the part of the successes that took about four times as long."""
    late = (0, 0, *SPREAD[:-2])
    shares = (usual + slower * (more - usual) for usual, more in zip(SPREAD, late, strict=True))
    return [round(number * share / 1000) for share in shares]


async def _write_hours(client: Redis, name: str, past: Sequence[WebhookPoint]) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for point in past:
            for member, count in (
                ("attempts", point.attempts), ("succeeded", point.succeeded),
                ("delivered", point.succeeded), ("dead_lettered", point.dead_letters),
                ("latency_ms", 24 * point.succeeded),
            ):  # fmt: skip
                pipe.hincrby(HOURS.key(name), f"{point.time // HOUR}:{member}", count)
                pipe.hincrby(STATS.key(name), member, count)
        await pipe.execute()
