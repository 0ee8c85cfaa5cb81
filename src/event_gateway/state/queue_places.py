"""Where deliveries stand in their queues, and what holds their webhooks' attempts back."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import BREAKER, DUE, GATES, QUEUE, THROTTLED
from event_gateway.state.records import member_of, source_hash


class QueuePlace(msgspec.Struct, frozen=True):
    """Times in seconds since the epoch, by Redis' clock; ``now`` is its present time.

    ``ahead``: deliveries of the webhook that are due before this one; None: it is not queued.
    ``depth``: all that are queued. ``breaker``: the state of the circuit breaker, ``open_until``
    until when it lets no attempt through. ``gate_until``: before that no attempt starts, because of
    the circuit breaker or the rate limit. ``throttled_until``: the receiver has asked for that.
    ``scheduled``: whether a process will look at the queue by itself.
    """

    now: float
    ahead: int | None
    due_at: float | None
    depth: int
    breaker: str
    open_until: float | None
    gate_until: float | None
    throttled_until: float | None
    scheduled: bool


class QueuePlaces:
    """Reads the places of deliveries. Raises the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def of(
        self, event_id: str, source: str, webhook_ids: Sequence[str]
    ) -> dict[str, QueuePlace]:
        """The places of an event's deliveries to these webhooks (a few hundred at most)."""
        member = member_of(event_id)
        other = f"{member}~{source_hash(source)}"
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for webhook_id in webhook_ids:
                queue = QUEUE.key(webhook_id)
                # Of several events of an id, all but the first have the hash of their source.
                for name in (other, member):
                    pipe.zrank(queue, name)
                    pipe.zscore(queue, name)
                pipe.zcard(queue)
                pipe.hmget(BREAKER.key(webhook_id), "state", "until")
                pipe.hget(GATES.key(), webhook_id)
                pipe.hget(THROTTLED.key(), webhook_id)
                pipe.zscore(DUE.key(), webhook_id)
            (seconds, micros), *results = await pipe.execute()
        places = {}
        for position, webhook_id in enumerate(webhook_ids):
            rank, due, first_rank, first_due, depth, breaker, gate, throttled, scheduled = results[
                9 * position : 9 * position + 9
            ]
            if rank is None:
                rank, due = first_rank, first_due
            state, until = breaker
            places[webhook_id] = QueuePlace(
                now=seconds + micros / 1e6,
                ahead=rank,
                due_at=_seconds(due),
                depth=depth,
                breaker=state.decode() if state else "closed",
                open_until=_seconds(until),
                gate_until=_seconds(gate),
                throttled_until=_seconds(throttled),
                scheduled=scheduled is not None,
            )
        return places


def _seconds(milliseconds: bytes | float | None) -> float | None:
    return float(milliseconds) / 1000 if milliseconds else None
