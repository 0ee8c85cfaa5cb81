"""Lists of what became of a webhook's deliveries: at most the latest thousand, whatever waits."""

from typing import Annotated

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.delivery import Status
from event_gateway.state.queues import LONGEST_HOLD
from event_gateway.state.records import FORMAT, source_hash
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
    repeats: str


class ListPosition(msgspec.Struct, frozen=True, array_like=True):
    """The position in a list after which the next page begins."""

    score: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,16}(\.[0-9]{1,6})?$")]
    member: str


class Tracking:
    """Deliveries by webhook, status and time. Raises what StateError names."""

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
        behind: ListPosition | None,
        ordered: bool = False,
    ) -> tuple[list[Listed], ListPosition | None]:
        """Deliveries of a webhook, those that have changed last first, and where to go on.

        ``pending`` and ``in_progress`` come in the order in which they go, but for ``ordered``
        webhooks. A page may hold fewer
        than ``limit``, or none, and still have one behind it.
        """
        rows, (score, last) = await self._list(
            webhook_id,
            "" if status is None else status.value,
            "" if since is None else round(since * 1000),
            "" if until is None else round(until * 1000),
            limit,
            "" if behind is None else behind.score,
            "" if behind is None else behind.member,
            round(LONGEST_HOLD * 1000),
            int(ordered),
        )
        more = ListPosition(score.decode(), last.decode()) if score else None
        records = [(member, ListedRecord._make(fields)) for member, fields in rows]
        listed = [_listed(member, record) for member, record in records if int(record.v) <= FORMAT]
        return listed, more


def _listed(member: bytes, record: ListedRecord) -> Listed:
    source, next_at = record.source.decode(), record.next_attempt_at
    return Listed(
        event_id=member.decode().removesuffix(f"~{source_hash(source)}"),
        source=source,
        status=Status(record.status.decode()),
        updated_at=int(record.timestamp) / 1000,
        attempts=int(record.attempts),
        last_error=record.last_error.decode() or None,
        next_attempt_at=int(next_at) / 1000 if next_at else None,
        stream=record.stream.decode(),
        seq=int(record.seq),
        run=int(record.run),
        repeats=record.repeats.decode() if record.repeats else "",
    )
