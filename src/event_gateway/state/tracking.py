"""Reads lists of deliveries: of each webhook the thousand that changed last, and all that wait."""

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Status
from event_gateway.state.queues import MAX_LEASE
from event_gateway.state.records import FORMAT, changed_at, source_hash
from event_gateway.state.script_arguments import ListedRecord, ListRequest
from event_gateway.state.scripts import script

MAX_RECENT = 1000  # deliveries of a webhook that changed last; shared/recent.lua keeps them
_LONGEST_LEASE = round(MAX_LEASE * 1000)
_pack = msgspec.msgpack.Encoder().encode


class TrackedDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery in a list; times in seconds since the epoch. ``score`` and ``member``: its place
    in the list of its webhook, of what ``waits`` or of what changed last."""

    webhook_id: str
    waits: bool
    score: str
    member: str
    event_id: str
    source: str
    status: Status
    updated_at: float
    attempts: int
    last_error: str | None
    next_attempt_at: float | None
    stream: str
    seq: int
    run: int
    run_by: str


class ListPart(msgspec.Struct, frozen=True):
    """A part of the list of a webhook, and where it ends: score and member of the last entry that
    was read. ``more``: others follow; ``read``: how many were looked at."""

    listed: list[TrackedDelivery]
    score: str
    member: str
    more: bool
    read: int


class Tracking:
    """Reads lists of deliveries. Raises the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._list = script(client, "deliveries/list.lua")
        self._heads = script(client, "deliveries/heads.lua")
        self._count = script(client, "deliveries/count.lua")

    async def read(self, request: ListRequest) -> list[ListPart]:
        """The deliveries from each place of a request on."""
        pages = await self._list(_pack(request), _LONGEST_LEASE)
        parts = []
        for place, (rows, (score, member), more, read) in zip(request.places, pages, strict=True):
            records = [(name, at, ListedRecord._make(fields)) for name, at, fields in rows]
            listed = [
                _listed(place.webhook, name, at, record, waits=request.queued)
                for name, at, record in records if int(record.v) <= FORMAT
            ]  # fmt: skip
            parts.append(ListPart(listed, score.decode(), member.decode(), bool(more), int(read)))
        return parts

    async def heads(self, request: ListRequest) -> list[str]:
        """The score of the first delivery from each place of a request on; empty: there is none."""
        return [score.decode() for score in await self._heads(_pack(request))]

    async def count(
        self,
        webhook_id: str,
        *,
        status: Status | None,
        since: float | None,
        until: float | None,
        recent: bool,
        queued: bool,
    ) -> tuple[int, bool]:
        """How many deliveries of a webhook changed last, or are queued, or either, and whether
        there may be fewer: of more than :data:`MAX_RECENT` in the queue it looks at none."""
        total, is_estimate = await self._count(
            webhook_id,
            "" if status is None else status.value,
            "" if since is None else in_ms(since),
            "" if until is None else in_ms(until),
            int(recent), int(queued), _LONGEST_LEASE,
        )  # fmt: skip
        return int(total), bool(is_estimate)


def in_ms(seconds: float) -> int:
    """A time as the scripts take it."""
    return round(seconds * 1000)


def _listed(
    webhook_id: str, member: bytes, score: bytes, record: ListedRecord, *, waits: bool
) -> TrackedDelivery:
    source, next_at, name = record.source.decode(), record.next_attempt_at, member.decode()
    return TrackedDelivery(
        webhook_id=webhook_id,
        waits=waits,
        score=score.decode(),
        member=name,
        event_id=name.removesuffix(f"~{source_hash(source)}"),
        source=source,
        status=Status(record.status.decode()),
        updated_at=changed_at(record.timestamp),
        attempts=int(record.attempts),
        last_error=record.last_error.decode() or None,
        next_attempt_at=int(next_at) / 1000 if next_at else None,
        stream=record.stream.decode(),
        seq=int(record.seq),
        run=int(record.run),
        run_by=record.repeats.decode() if record.repeats else "",
    )
