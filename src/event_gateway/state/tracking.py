"""Lists of a webhook's deliveries: the thousand that changed last, and all that are queued."""

from typing import Annotated

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Status
from event_gateway.state.queues import MAX_LEASE
from event_gateway.state.records import FORMAT, changed_at, source_hash
from event_gateway.state.script_arguments import ListedRecord
from event_gateway.state.scripts import script


class Listed(msgspec.Struct, frozen=True):
    """A delivery in a list; times in seconds since the epoch."""

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


class ListPosition(msgspec.Struct, frozen=True, array_like=True):
    """The position in a list after which the next page begins."""

    score: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,16}(\.[0-9]{1,6})?$")]
    member: str


class Tracking:
    """Lists deliveries by webhook, status and time. Raises the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._list = script(client, "deliveries/list.lua")

    async def deliveries(
        self,
        webhook_id: str,
        *,
        status: Status | None,
        since: float | None,
        until: float | None,
        limit: int,
        after: ListPosition | None,
        ordered: bool = False,
    ) -> tuple[list[Listed], ListPosition | None, tuple[int, bool]]:
        """A page of a webhook's deliveries, the position after which the next page begins, and how
        many deliveries all pages have, with whether there may be fewer.

        The deliveries that changed last come first. Those with status ``pending``, ``retrying`` or
        ``in_progress`` come in the order of their attempts, except of ``ordered`` webhooks. A page
        can have fewer than ``limit`` deliveries, or none, and still be followed by another.
        """
        rows, (score, last), (total, is_estimate) = await self._list(
            webhook_id,
            "" if status is None else status.value,
            "" if since is None else round(since * 1000),
            "" if until is None else round(until * 1000),
            limit,
            "" if after is None else after.score,
            "" if after is None else after.member,
            round(MAX_LEASE * 1000),
            int(ordered),
        )
        next_page = ListPosition(score.decode(), last.decode()) if score else None
        records = [(member, ListedRecord._make(fields)) for member, fields in rows]
        listed = [_listed(member, record) for member, record in records if int(record.v) <= FORMAT]
        return listed, next_page, (int(total), bool(is_estimate))


def _listed(member: bytes, record: ListedRecord) -> Listed:
    source, next_at = record.source.decode(), record.next_attempt_at
    return Listed(
        event_id=member.decode().removesuffix(f"~{source_hash(source)}"),
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
