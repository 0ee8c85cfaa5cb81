"""The queues of what waits for each webhook, and how its lane stands, for all processes."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.keys import DUE, GATES, PAUSED, SHUT
from event_gateway.state.ledger import MAX_RECORDS, Ledger
from event_gateway.state.records import FORMAT, attempts_of, source_hash
from event_gateway.state.script_arguments import LeasedRecord, LeaseRequest, Limit
from event_gateway.state.scripts import script

MAX_LEASES = 2048  # that are looked at for how many attempts run
LONGEST_HOLD = 330.0  # seconds, at most, for which a delivery is held for its attempt
MAX_CANCELLED = 64  # in one script call: there are many of these, one after the other

_pack = msgspec.msgpack.Encoder().encode


class DeliveryCounts(msgspec.Struct, frozen=True):
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
    total: DeliveryCounts
    day: DeliveryCounts


class Queues:
    """What is due, taken under a lease. Its methods raise what StateError names."""

    def __init__(self, client: Redis, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger
        self._token = ledger.token  # gives new names for who takes something
        self._depths = script(client, "queues/depths.lua")
        self._due = script(client, "queues/due.lua")
        self._take = script(client, "queues/take.lua")
        self._admit_attempt = script(client, "queues/admit_attempt.lua")
        self._cancel = script(client, "queues/cancel.lua")
        self._take_expired = script(client, "queues/take_expired.lua")
        self._lane_stats = script(client, "queues/lane_stats.lua")
        self._forget_history = script(client, "queues/forget_history.lua")

    async def due(self, begin: int, count: int) -> list[str]:
        """Webhooks with due deliveries, from the ``begin``-th on, those that wait longest first."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(DUE.key(), begin, begin + count - 1, withscores=True)
            (seconds, micros), entries = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return [name.decode() for name, score in entries if score <= now]

    async def due_since(self, since: float, count: int) -> tuple[list[str], float | None, float]:
        """Webhooks of which deliveries have become due since then (by the server's clock, ms), the
        seconds until the next do (None: not known), and until when all are told."""
        due, seen, next_in = await self._due(f"{since:.0f}", count)
        later = None if next_in < 0 else next_in / 1000
        return [name.decode() for name in due], later, float(seen)

    async def take(self, requests: Sequence[LeaseRequest]) -> list[Delivery]:
        """Takes due deliveries, the longest due first."""
        token = self._token()
        now = asyncio.get_running_loop().time()
        held = {request.webhook_id: now + request.lease / 1000 for request in requests}
        leased = await self._take(_pack(requests), token, FORMAT)
        return [_delivery(row, token, held) for row in leased]

    async def cancel(
        self, webhook_id: str, reason: str, count: int = MAX_CANCELLED, *, gone: bool = False
    ) -> int:
        """Cancels up to ``count`` waiting deliveries of a webhook; gives how many are left.

        ``gone``: with the last, what is known of its lane is forgotten.
        """
        ttl = round(self._ledger.keep * 1000)
        return int(await self._cancel(webhook_id, count, reason, ttl, int(gone)))

    async def expired(
        self, webhook_id: str, begin: int, max_age: float, lease: float
    ) -> tuple[list[Delivery], int]:
        """Holds what is due and past its deadline, ``max_age`` seconds after its event came in.

        Looks through a part of the queue from ``begin`` on; gives also where to go on (-1: there
        is no more).
        """
        token = self._token()
        leased, on = await self._take_expired(
            webhook_id, begin, MAX_RECORDS, round(max_age * 1000), round(lease * 1000), token,
            FORMAT,
        )  # fmt: skip
        held = {webhook_id: asyncio.get_running_loop().time() + lease}
        return [_delivery(row, token, held) for row in leased], int(on)

    async def admit(
        self, webhook: Webhook, token: str, probe_lease: float
    ) -> tuple[bool, bool, float]:
        """Whether an attempt may begin that is not taken from the queue, whether it is the
        breaker's probe, and else the seconds until it is worth asking again."""
        admitted, probe, wait = await self._admit_attempt(
            webhook.id, round(probe_lease * 1000), token, _pack(limits_ms(webhook))
        )
        return bool(admitted), bool(probe), wait / 1000

    async def forget(self, webhook_id: str) -> None:
        """Forgets the lists and counts of a deleted webhook, before its id is registered again."""
        await self._forget_history(webhook_id)

    async def depths(self, webhook_ids: Sequence[str]) -> list[int]:
        """How many deliveries of each webhook are not final."""
        depths = await self._depths(_pack(webhook_ids))
        return [int(depth) for depth in depths]

    async def paused_and_open(self) -> tuple[frozenset[str], frozenset[str]]:
        """The webhooks that are paused, and those whose breaker is not closed."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(PAUSED.key())
            pipe.smembers(SHUT.key())
            paused, shut = await pipe.execute()
        return frozenset(one.decode() for one in paused), frozenset(one.decode() for one in shut)

    async def webhooks_waiting(self) -> list[str]:
        """The webhooks whose queue may hold something that nobody takes: paused, shut or due."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(PAUSED.key())
            pipe.hkeys(GATES.key())
            pipe.time()
            paused, gates, (seconds, _) = await pipe.execute()
        due = await cast(Any, self._client.zrangebyscore(DUE.key(), "-inf", seconds * 1000))
        return [one.decode() for one in {*paused, *gates, *due}]

    async def state(self, webhook_id: str) -> LaneState:
        """How a webhook's lane stands."""
        found = _pairs(await self._lane_stats(webhook_id, MAX_LEASES, round(LONGEST_HOLD * 1000)))
        total, breaker = _pairs(found[b"total"]), found[b"breaker"]
        passed = found[b"now"] / 60000 % 1  # the part of this minute that has passed
        in_a_minute = int(found[b"this_minute"]) + int(found[b"last_minute"]) * (1 - passed)
        return LaneState(
            depth=found[b"depth"],
            due=found[b"due"],
            in_flight=found[b"running"],
            oldest=_seconds(found[b"oldest"]),
            breaker=breaker.decode() if breaker else "closed",
            open_until=_seconds(found[b"open_until"]),
            open_since=_seconds(found[b"open_since"]),
            failing_since=_seconds(found[b"failing_since"]),
            last_success=_seconds(total.get(b"last_success")),
            last_failure=_seconds(total.get(b"last_failure")),
            total=_counts(total),
            day=_counts(_pairs(found[b"day"])),
            rate=in_a_minute / 60,
        )


def limits_ms(webhook: Webhook) -> tuple[Limit, ...]:
    """The rate limits of a webhook, as the scripts take them."""
    return tuple(Limit(limit.events, round(limit.per * 1000)) for limit in webhook.limits)


def _delivery(row: Sequence[Any], token: str, held_until: Mapping[str, float]) -> Delivery:
    """A leased delivery, as the scripts answer it; ``held_until`` by webhook."""
    webhook, member, probe, responses, fields = row
    record = LeasedRecord._make(fields)
    webhook_id, source = webhook.decode(), record.source.decode()
    return Delivery(
        webhook_id=webhook_id,
        event_id=member.decode().removesuffix(f"~{source_hash(source)}"),
        source=source,
        stream=record.stream.decode(),
        seq=int(record.seq),
        token=token,
        run=int(record.run),
        attempts=attempts_of(record.log, responses),
        failed=record.status == b"failed",
        held_until=held_until[webhook_id],
        probe=bool(probe),
        event_at=float(record.event_at) / 1000 if record.event_at else 0.0,
        run_by=record.repeats.decode() if record.repeats else "",
        dead_letter=int(record.letter or 0),
        latest=float(record.latest) / 1000 if record.latest else math.inf,
    )


def _pairs(row: Sequence[Any]) -> dict[bytes, Any]:
    """A flat array of names and values."""
    return dict(zip(row[::2], row[1::2], strict=True))


def _counts(fields: dict[bytes, bytes]) -> DeliveryCounts:
    def number(name: bytes) -> int:
        return int(fields.get(name, 0))

    delivered = number(b"delivered")
    return DeliveryCounts(
        attempts=number(b"attempts"),
        succeeded=number(b"succeeded"),
        dead_lettered=number(b"dead_lettered"),
        cancelled=number(b"cancelled"),
        latency=number(b"latency_ms") / delivered / 1000 if delivered else None,
    )


def _seconds(milliseconds: bytes | None) -> float | None:
    return float(milliseconds) / 1000 if milliseconds else None
