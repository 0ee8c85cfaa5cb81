"""The queues of what waits for each webhook, and how its lane stands, for all processes."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.ledger import MAX_RECORDS, Ledger
from event_gateway.state.records import FORMAT, attempts_of, source_hash
from event_gateway.state.scripts import script

MAX_LEASES = 2048  # that are looked at for how many attempts run
LONGEST_HOLD = 330.0  # seconds, at most, for which a delivery is held for its attempt
MAX_CANCELLED = 64  # in one script call: there are many of these, one after the other

_pack = msgspec.msgpack.Encoder().encode


class Wanted(msgspec.Struct, array_like=True):
    """What a process has room for: up to ``count`` deliveries of a webhook, held for so long.

    ``limits``: how many attempts may begin in how long, each of them. All times in ms.
    """

    webhook_id: str
    count: int
    lease: int
    probe_lease: int
    limits: tuple[tuple[int, int], ...] = ()


class Counts(msgspec.Struct, frozen=True):
    """What has been counted of a webhook; ``latency`` is the mean, in seconds, from receipt of the
    event to success, None where there was none."""

    attempts: int
    succeeded: int
    dead_lettered: int
    cancelled: int
    latency: float | None

    @property
    def success_rate(self) -> float | None:
        """Successful deliveries per attempt; None where there was no attempt."""
        return round(self.succeeded / self.attempts, 4) if self.attempts else None


class LaneState(msgspec.Struct):
    """How a webhook's lane stands over all processes; times in seconds since the epoch.

    ``oldest`` is when the event came in that waits in front. ``rate``: attempts per second, over
    the last minute. ``total`` counts since the registration, ``day`` in the last 24 hours.
    """

    depth: int
    due: int
    in_flight: int
    oldest: float | None
    breaker: str
    open_until: float | None
    open_since: float | None
    failing_since: float | None
    last_success: float | None
    last_failure: float | None
    rate: float
    total: Counts
    day: Counts


class Queues:
    """What is due, taken under a lease. Its methods raise what StateError names."""

    def __init__(self, client: Redis, ledger: Ledger, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self._ledger = ledger
        self._token = ledger.token  # gives new names for who takes something
        self._depths = script(client, "depths.lua")
        self._due = script(client, "lane.lua", "due.lua")
        self._take = script(client, "lane.lua", "rate.lua", "take.lua")
        self._admit = script(client, "lane.lua", "rate.lua", "admit.lua")
        self._cancel = script(client, "lane.lua", "cancel.lua")
        self._expired = script(client, "lane.lua", "expired.lua")
        self._stats = script(client, "lane.lua", "stats.lua")

    async def due(self, begin: int, count: int) -> list[str]:
        """Webhooks with due deliveries, from the ``begin``-th on, those that wait longest first."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(f"{self._prefix}due", begin, begin + count - 1, withscores=True)
            (seconds, micros), entries = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return [name.decode() for name, score in entries if score <= now]

    async def due_since(self, since: float, count: int) -> tuple[list[str], float | None, float]:
        """Webhooks of which deliveries have become due since then (by the server's clock, ms), the
        seconds until the next do (None: not known), and until when all are told."""
        due, seen, next_in = await self._due(keys=[self._prefix], args=[f"{since:.0f}", count])
        later = None if next_in < 0 else next_in / 1000
        return [name.decode() for name in due], later, float(seen)

    async def take(self, wanted: Sequence[Wanted]) -> list[Delivery]:
        """Takes due deliveries, the longest due first."""
        token = self._token()
        now = asyncio.get_running_loop().time()
        held = {one.webhook_id: now + one.lease / 1000 for one in wanted}
        rows = await self._take(keys=[self._prefix], args=[_pack(wanted), token, FORMAT])
        return [_delivery(row, token, held[row[0].decode()]) for row in rows]

    async def cancel(
        self, webhook_id: str, reason: str, count: int = MAX_CANCELLED, *, gone: bool = False
    ) -> int:
        """Cancels up to ``count`` waiting deliveries of a webhook; gives how many are left.

        ``gone``: with the last, what is known of its lane is forgotten.
        """
        args = [webhook_id, count, reason, round(self._ledger.keep * 1000), int(gone)]
        return int(await self._cancel(keys=[self._prefix], args=args))

    async def expired(
        self, webhook_id: str, begin: int, max_age: float, lease: float
    ) -> tuple[list[Delivery], int]:
        """Holds what is due and past its deadline, ``max_age`` seconds after its event came in.

        Looks through a part of the queue from ``begin`` on; gives also where to go on (-1: there
        is no more).
        """
        token = self._token()
        ms = [round(max_age * 1000), round(lease * 1000)]
        rows, on = await self._expired(
            keys=[self._prefix], args=[webhook_id, begin, MAX_RECORDS, *ms, token, FORMAT]
        )
        until = asyncio.get_running_loop().time() + lease
        held = [_delivery(row, token, until) for row in rows]
        return held, int(on)

    async def admit(
        self, webhook: Webhook, token: str, probe_lease: float
    ) -> tuple[bool, bool, float]:
        """Whether an attempt may begin that is not taken from the queue, whether it is the
        breaker's probe, and else the seconds until it is worth asking again."""
        args = [webhook.id, round(probe_lease * 1000), token, _pack(limits_ms(webhook))]
        admitted, probe, wait = await self._admit(keys=[self._prefix], args=args)
        return bool(admitted), bool(probe), wait / 1000

    async def forget(self, webhook_id: str) -> None:
        """A new webhook of that id begins with no lists and counts of a former one."""
        names = ("stats", "hours", "recent", "answers", "answered")
        await self._client.delete(*(f"{self._prefix}{name}:{webhook_id}" for name in names))

    async def depths(self, webhook_ids: Sequence[str]) -> list[int]:
        """How many deliveries of each webhook are not final."""
        depths = await self._depths(keys=[self._prefix], args=[_pack(webhook_ids)])
        return [int(depth) for depth in depths]

    async def closed(self) -> tuple[frozenset[str], frozenset[str]]:
        """The webhooks that are paused, and those whose breaker is not closed."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(f"{self._prefix}paused")
            pipe.smembers(f"{self._prefix}shut")
            paused, shut = await pipe.execute()
        return frozenset(one.decode() for one in paused), frozenset(one.decode() for one in shut)

    async def waiting(self) -> list[str]:
        """The webhooks whose queue may hold something that nobody takes: paused, shut or due."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(f"{self._prefix}paused")
            pipe.hkeys(f"{self._prefix}gates")
            pipe.time()
            paused, gates, (seconds, _) = await pipe.execute()
        due = await cast(
            Any, self._client.zrangebyscore(f"{self._prefix}due", "-inf", seconds * 1000)
        )
        return [one.decode() for one in {*paused, *gates, *due}]

    async def state(self, webhook_id: str) -> LaneState:
        """How a webhook's lane stands."""
        hold = round(LONGEST_HOLD * 1000)
        answer = await self._stats(keys=[self._prefix], args=[webhook_id, MAX_LEASES, hold])
        depth, due, running, oldest, breaker, until, since, failing, *counts = answer
        this, before, now, total, day = counts
        stats = dict(zip(total[::2], total[1::2], strict=True))
        part = now / 60000 % 1  # of this minute that has passed
        return LaneState(
            depth=depth,
            due=due,
            in_flight=running,
            oldest=_seconds(oldest),
            breaker=breaker.decode() if breaker else "closed",
            open_until=_seconds(until),
            open_since=_seconds(since),
            failing_since=_seconds(failing),
            last_success=_seconds(stats.get(b"last_success")),
            last_failure=_seconds(stats.get(b"last_failure")),
            total=_counts(stats),
            day=_counts(dict(zip(day[::2], day[1::2], strict=True))),
            rate=(int(this) + int(before) * (1 - part)) / 60,
        )


def limits_ms(webhook: Webhook) -> tuple[tuple[int, int], ...]:
    """How many of its attempts may begin in how many ms, as the scripts take it."""
    return tuple((one.events, round(one.per * 1000)) for one in webhook.limits)


def _delivery(row: Sequence[Any], token: str, held_until: float) -> Delivery:
    webhook, member, source, stream, seq, run, attempts, status, probe, event_at, *more = row
    repeats, letter, answers, latest = more
    event_source = source.decode()
    return Delivery(
        webhook_id=webhook.decode(),
        event_id=member.decode().removesuffix(f"~{source_hash(event_source)}"),
        source=event_source,
        stream=stream.decode(),
        seq=int(seq),
        token=token,
        run=int(run),
        attempts=attempts_of(attempts, answers),
        failed=status == b"failed",
        held_until=held_until,
        probe=bool(probe),
        event_at=float(event_at) / 1000 if event_at else 0.0,
        repeats=repeats.decode(),
        letter=int(letter or 0),
        latest=float(latest) / 1000 if latest else math.inf,
    )


def _counts(fields: dict[bytes, bytes]) -> Counts:
    def number(name: bytes) -> int:
        return int(fields.get(name, 0))

    delivered = number(b"delivered")
    return Counts(
        attempts=number(b"attempts"),
        succeeded=number(b"succeeded"),
        dead_lettered=number(b"dead_lettered"),
        cancelled=number(b"cancelled"),
        latency=number(b"latency_ms") / delivered / 1000 if delivered else None,
    )


def _seconds(milliseconds: bytes | None) -> float | None:
    return float(milliseconds) / 1000 if milliseconds else None
