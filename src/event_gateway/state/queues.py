"""The queues of pending deliveries, by webhook, and the state of its lane over all processes."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.webhook import RateLimit, Webhook
from event_gateway.state.keys import DUE, PAUSED, QUEUE
from event_gateway.state.ledger import MAX_RECORDS, Ledger
from event_gateway.state.records import FORMAT, attempts_of, source_hash
from event_gateway.state.script_arguments import LeasedRecord, LeaseRequest, Limit
from event_gateway.state.scripts import script

MAX_LEASES = 2048  # leases that are read to count the attempts in flight
MAX_LEASE = 330.0  # seconds; the longest lease of a delivery
MAX_CANCELLED = 64  # deliveries in one script call, as many such calls follow each other
AT_A_TIME = 100  # queues whose figures are read in one call
SAMPLE = 16  # deliveries at each end of a queue, of which the oldest is found

_pack = msgspec.msgpack.Encoder().encode


class DeliveryCounts(msgspec.Struct, frozen=True):
    """Counts of a webhook's deliveries.

    ``latency`` is the mean time in seconds from the receipt of an event to the success of its
    delivery; None without a success.
    """

    attempts: int
    succeeded: int
    dead_lettered: int
    cancelled: int
    latency: float | None

    @property
    def success_rate(self) -> float | None:
        """Successful deliveries per attempt; None where there was no attempt."""
        return round(self.succeeded / self.attempts, 4) if self.attempts else None


class QueueFigures(NamedTuple):
    """What is in the queue of a webhook.

    ``depth``: the number of its deliveries; ``oldest``: the age of the oldest event among those
    that are due first and last, in seconds; ``lag``: for how many seconds the delivery that is due
    longest has been due (0: none, or the webhook is paused); ``breaker``: the state of the circuit
    breaker.
    """

    depth: int
    oldest: float
    lag: float
    breaker: str


class NewlyDue(NamedTuple):
    """Webhooks that have become due; the seconds until the next one does (None: not known); the
    time up to which that is complete (ms), the ``since`` of the next call; and how many webhooks
    are due, also since before."""

    webhooks: list[str]
    next_in: float | None
    until: float
    all_due: int


class LaneState(msgspec.Struct):
    """The state of a webhook's lane over all processes; times in seconds since the epoch.

    ``in_flight`` is the number of attempts that run now, without the deliveries that wait for one.
    ``oldest`` is the receipt of the oldest event in the queue, exact for up to 200 deliveries; of
    more it is the oldest of the 100 that are due first and the 100 that are due last. ``rate`` is
    the attempts per second over the last minute. ``total`` counts since the registration, ``day``
    in the last 24 hours.
    """

    depth: int
    due: int
    in_flight: int
    oldest: float | None
    breaker: str
    open_until: float | None
    open_since: float | None
    throttled_until: float | None
    failing_since: float | None
    last_success: float | None
    last_failure: float | None
    rate: float
    total: DeliveryCounts
    day: DeliveryCounts


class Queues:
    """Leases due deliveries from the queues. Methods raise the exceptions in StateError.

    ``count_cancelled`` gets the id of a webhook and how many of its deliveries were cancelled.
    """

    def __init__(
        self, client: Redis, ledger: Ledger, *, count_cancelled: Callable[[str, int], None]
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._count_cancelled = count_cancelled
        self._new_token = ledger.token
        self._figures = script(client, "queues/figures.lua")
        self._due = script(client, "queues/due.lua")
        self._late = script(client, "queues/late.lua")
        self._lane_states = script(client, "queues/lane_states.lua")
        self._may_be_due = script(client, "queues/may_be_due.lua")
        self._take = script(client, "queues/take.lua")
        self._may_start = script(client, "queues/admit_attempt.lua")
        self._cancel = script(client, "queues/cancel.lua")
        self._take_expired = script(client, "queues/take_expired.lua")
        self._lane_stats = script(client, "queues/lane_stats.lua")
        self._forget_history = script(client, "queues/forget_history.lua")

    async def due(self, begin: int, count: int) -> list[str]:
        """``count`` webhooks with due deliveries, from ``begin`` on, the longest due first."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(DUE.key(), begin, begin + count - 1, withscores=True)
            (seconds, micros), entries = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return [name.decode() for name, score in entries if score <= now]

    async def due_since(self, since: float, count: int) -> NewlyDue:
        """Webhooks whose deliveries have become due after ``since`` (ms of Redis' clock), at most
        ``count``."""
        due, until, next_in, all_due = await self._due(f"{since:.0f}", count)
        later = None if next_in < 0 else next_in / 1000
        return NewlyDue([name.decode() for name in due], later, float(until), int(all_due))

    async def late(self, begin: int, count: int, least: float) -> tuple[dict[str, float], bool]:
        """Webhooks with a delivery that has been due for ``least`` seconds, and for how many
        seconds the longest due one has been, by the clock of Redis.

        Looks at ``count`` of the webhooks that are not paused and have deliveries in their queue,
        from rank ``begin`` on; also returns whether there are more.
        """
        late, looked_at = await self._late(begin, count, round(least * 1000))
        waits = {late[i].decode(): int(late[i + 1]) / 1000 for i in range(0, len(late), 2)}
        return waits, int(looked_at) == count

    async def take(self, requests: Sequence[LeaseRequest]) -> list[Delivery]:
        """Leases due deliveries to this process, the longest due first."""
        token = self._new_token()
        now = asyncio.get_running_loop().time()
        leased_until = {request.webhook_id: now + request.lease / 1000 for request in requests}
        leased = await self._take(_pack(requests), token, FORMAT)
        return [_delivery(row, token, leased_until) for row in leased]

    async def cancel(
        self, webhook_id: str, reason: str, count: int = MAX_CANCELLED, *, deleted: bool = False
    ) -> int:
        """Cancels up to ``count`` queued deliveries of a webhook; returns how many are left.

        ``deleted``: the webhook is deleted; with the last delivery its lane's state is deleted too.
        """
        ttl = round(self._ledger.retention * 1000)
        left, cancelled = await self._cancel(webhook_id, count, reason, ttl, int(deleted))
        if cancelled:
            self._count_cancelled(webhook_id, int(cancelled))
        return int(left)

    async def expired(
        self, webhook_id: str, begin: int, max_age: float, lease: float
    ) -> tuple[list[Delivery], int]:
        """Leases due deliveries that are past their deadline, for ``lease`` seconds.

        The deadline is ``max_age`` seconds after the receipt of the event. Reads MAX_RECORDS of the
        queue from rank ``begin`` on; also returns the rank for the next call (-1: the end).
        """
        token = self._new_token()
        leased, next_rank = await self._take_expired(
            webhook_id, begin, MAX_RECORDS, round(max_age * 1000), round(lease * 1000), token,
            FORMAT,
        )  # fmt: skip
        leased_until = {webhook_id: asyncio.get_running_loop().time() + lease}
        return [_delivery(row, token, leased_until) for row in leased], int(next_rank)

    async def may_start(
        self, webhook: Webhook, token: str, probe_lease: float
    ) -> tuple[bool, bool, float]:
        """Decides whether an attempt may start whose delivery is not leased from the queue.

        Returns whether it may, whether it is the circuit breaker's probe, and, if it may not, the
        seconds after which to try again.
        """
        may_start, probe, wait = await self._may_start(
            webhook.id, round(probe_lease * 1000), token, _pack(limits_ms(webhook.limits))
        )
        return bool(may_start), bool(probe), wait / 1000

    async def forget(self, webhook_id: str) -> None:
        """Deletes the lists and counts of a deleted webhook, before its id is registered again."""
        await self._forget_history(webhook_id)

    async def depth(self, webhook_id: str) -> int:
        """The deliveries of a webhook that are not final, those in progress included."""
        return int(await self._client.zcard(QUEUE.key(webhook_id)))

    async def figures(self, webhook_ids: Sequence[str], sample: int = SAMPLE) -> list[QueueFigures]:
        """What is in the queue of each webhook. ``sample``: deliveries that are looked at at each
        end of a queue, for the oldest."""
        figures: list[QueueFigures] = []
        for start in range(0, len(webhook_ids), AT_A_TIME):
            flat = await self._figures(_pack(webhook_ids[start : start + AT_A_TIME]), sample)
            figures += [
                QueueFigures(
                    int(depth),
                    int(age) / 1000,
                    int(lag) / 1000,
                    breaker.decode() if breaker else "closed",
                )
                for depth, age, lag, breaker in zip(
                    flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True
                )
            ]
        return figures

    async def lane_states(self) -> tuple[frozenset[str], frozenset[str], dict[str, float]]:
        """The webhooks that are paused, those whose circuit breaker is not closed, and for how many
        seconds those are throttled that are."""
        paused, not_closed, throttled = await self._lane_states()
        return (
            frozenset(webhook.decode() for webhook in paused),
            frozenset(webhook.decode() for webhook in not_closed),
            {throttled[i].decode(): throttled[i + 1] / 1000 for i in range(0, len(throttled), 2)},
        )

    async def waiting(self, count: int) -> tuple[list[str], bool]:
        """Webhooks that may have queued deliveries, those due first and then the paused ones, at
        most ``count``; and whether these are all."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(DUE.key(), 0, count)
            pipe.smembers(PAUSED.key())
            due, paused = await pipe.execute()
        names = list(dict.fromkeys(name.decode() for name in (*due, *paused)))
        return names[:count], len(names) <= count

    async def paused_gated_or_due(self) -> list[str]:
        """The webhooks that may have due deliveries in their queue: paused, gated or due ones.

        A webhook is gated while it is throttled, its circuit breaker is open or its rate limit is
        used up.
        """
        kinds = await self._may_be_due()
        return list({webhook.decode() for webhooks in kinds for webhook in webhooks})

    async def state(self, webhook: Webhook) -> LaneState:
        """The state of a webhook's lane."""
        max_lease, ordered = round(MAX_LEASE * 1000), int(bool(webhook.ordered))
        stats = _pairs(await self._lane_stats(webhook.id, MAX_LEASES, max_lease, ordered))
        total, breaker = _pairs(stats[b"total"]), stats[b"breaker"]
        passed = stats[b"now"] / 60000 % 1  # the part of this minute that has passed
        in_a_minute = int(stats[b"this_minute"]) + int(stats[b"last_minute"]) * (1 - passed)
        return LaneState(
            depth=stats[b"depth"],
            due=stats[b"due"],
            in_flight=stats[b"running"],
            oldest=_seconds(stats[b"oldest"]),
            breaker=breaker.decode() if breaker else "closed",
            open_until=_seconds(stats[b"open_until"]),
            open_since=_seconds(stats[b"open_since"]),
            throttled_until=_seconds(stats[b"throttled_until"]),
            failing_since=_seconds(stats[b"failing_since"]),
            last_success=_seconds(total.get(b"last_success")),
            last_failure=_seconds(total.get(b"last_failure")),
            total=_counts(total),
            day=_counts(_pairs(stats[b"day"])),
            rate=in_a_minute / 60,
        )


def limits_ms(limits: Sequence[RateLimit]) -> tuple[Limit, ...]:
    """Rate limits in the form that the scripts expect."""
    return tuple([Limit(limit.events, round(limit.per * 1000)) for limit in limits])


def _delivery(row: Sequence[Any], token: str, leased_until: Mapping[str, float]) -> Delivery:
    """Makes a delivery from the reply of a script; ``leased_until``: the end of the lease, by
    webhook, on the clock of the event loop."""
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
        leased_until=leased_until[webhook_id],
        probe=bool(probe),
        event_at=float(record.event_at) / 1000 if record.event_at else 0.0,
        run_by=record.repeats.decode() if record.repeats else "",
        dead_letter=int(record.letter or 0),
        latest=float(record.latest) / 1000 if record.latest else math.inf,
    )


def _pairs(row: Sequence[Any]) -> dict[bytes, Any]:
    """Makes a mapping from a flat array of names and values."""
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
